// A subcommand as its file declares it: options, help, what it runs. CLI11 does the parsing behind it and stays out of
// this header, as every file that sees it takes ten seconds to compile.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace gpumonth::cli {

/// One option or argument of a command; its functions return it again, so that they can be chained.
class Option {
 public:
  explicit Option(CLI::Option* option) : option_(option) {}

  Option type_name(const std::string& name);    ///< what stands behind it in --help: "FILE", "SECONDS"
  Option option_text(const std::string& text);  ///< the same, instead of anything that --help works out
  Option required();
  Option needs(Option other);
  Option expected(int fewest, int most);  ///< how many words follow it
  Option is_member(const std::vector<std::string>& values);
  Option range(int lowest, int highest) { return range(std::int64_t{lowest}, std::int64_t{highest}); }
  Option range(std::int64_t lowest, std::int64_t highest);
  Option range(double lowest, double highest);
  Option as_bytes();  ///< takes 64k, 1GiB; k is 1024
  Option show_default();

  bool given() const;

 private:
  CLI::Option* option_;
};

/// The command line's program or one command of it. Names are "--name", "-n,--name" or, for an argument, "name".
class Command {
 public:
  explicit Command(CLI::App& app) : app_(&app) {}

  Command add_command(const std::string& name, const std::string& help);
  void footer(const std::string& text);
  void run(std::function<void()> action);         ///< once everything is parsed
  void run_to_code(std::function<int()> action);  ///< the same; it returns the exit code

  Option add_option(const std::string& name, std::string& value, const std::string& help);
  Option add_option(const std::string& name, std::filesystem::path& value, const std::string& help);
  Option add_option(const std::string& name, std::vector<std::string>& values, const std::string& help);
  Option add_option(const std::string& name, int& value, const std::string& help);
  Option add_option(const std::string& name, std::int64_t& value, const std::string& help);
  Option add_option(const std::string& name, std::uint64_t& value, const std::string& help);
  Option add_option(const std::string& name, double& value, const std::string& help);
  Option add_flag(const std::string& name, bool& value, const std::string& help);

  // The options that mean the same in every command.
  Option add_set_option(std::vector<std::string>& overrides);
  Option add_json_flag(bool& json);
  /// --gpus 512,1024: numbers of GPUs, for parse_gpus.
  Option add_gpus_option(std::string& gpus);
  /// --help-config prints what `text` returns, config::help_text of the file's table, and ends.
  Option add_help_config_flag(std::function<std::string()> text);

 private:
  CLI::App* app_;
};

}  // namespace gpumonth::cli
