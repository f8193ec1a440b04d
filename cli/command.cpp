#include "cli/command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <utility>

#include "base/standard_output.h"

namespace gpumonth::cli {

Option Option::type_name(const std::string& name) {
  option_->type_name(name);
  return *this;
}

Option Option::option_text(const std::string& text) {
  option_->option_text(text);
  return *this;
}

Option Option::required() {
  option_->required();
  return *this;
}

Option Option::needs(Option other) {
  option_->needs(other.option_);
  return *this;
}

Option Option::expected(int fewest, int most) {
  option_->expected(fewest, most);
  return *this;
}

Option Option::is_member(const std::vector<std::string>& values) {
  option_->check(CLI::IsMember(values));
  return *this;
}

Option Option::range(std::int64_t lowest, std::int64_t highest) {
  option_->check(CLI::Range(lowest, highest).description(""));
  return *this;
}

Option Option::range(double lowest, double highest) {
  option_->check(CLI::Range(lowest, highest).description(""));
  return *this;
}

Option Option::as_bytes() {
  option_->transform(CLI::AsSizeValue(false).description(""));
  return *this;
}

Option Option::show_default() {
  option_->capture_default_str();
  return *this;
}

bool Option::given() const { return option_->count() > 0; }

Command Command::add_command(const std::string& name, const std::string& help) {
  return Command(*app_->add_subcommand(name, help));
}

void Command::footer(const std::string& text) { app_->footer(text); }

void Command::run(std::function<void()> action) { app_->callback(std::move(action)); }

void Command::run_to_code(std::function<int()> action) {
  app_->callback([action = std::move(action)] {
    if (const int code = action()) throw CLI::RuntimeError(code);
  });
}

Option Command::add_option(const std::string& name, std::string& value, const std::string& help) {
  return Option(app_->add_option(name, value, help));
}

Option Command::add_option(const std::string& name, std::filesystem::path& value, const std::string& help) {
  return Option(app_->add_option(name, value, help));
}

Option Command::add_option(const std::string& name, std::vector<std::string>& values, const std::string& help) {
  return Option(app_->add_option(name, values, help));
}

Option Command::add_option(const std::string& name, int& value, const std::string& help) {
  return Option(app_->add_option(name, value, help));
}

Option Command::add_option(const std::string& name, std::int64_t& value, const std::string& help) {
  return Option(app_->add_option(name, value, help));
}

Option Command::add_option(const std::string& name, std::uint64_t& value, const std::string& help) {
  return Option(app_->add_option(name, value, help));
}

Option Command::add_option(const std::string& name, double& value, const std::string& help) {
  return Option(app_->add_option(name, value, help));
}

Option Command::add_flag(const std::string& name, bool& value, const std::string& help) {
  return Option(app_->add_flag(name, value, help));
}

Option Command::add_set_option(std::vector<std::string>& overrides) {
  CLI::Option* option =
      app_->add_option("--set", overrides, "overrides one key of the file, e.g. --set model.depth=2; repeatable");
  option->type_name("KEY=VALUE")->allow_extra_args(false);
  return Option(option);
}

Option Command::add_json_flag(bool& json) {
  return add_flag("--json", json, "prints JSON for programs instead of text");
}

Option Command::add_gpus_option(std::string& gpus) {
  return add_option("--gpus", gpus,
                    "GPUs that train at the same time, instead of the scenario's cost.gpus; several: a table of them")
      .type_name("N,N,...");
}

Option Command::add_help_config_flag(std::function<std::string()> text) {
  const auto print_keys = [text = std::move(text)] {
    write_output(text());
    throw CLI::Success();
  };
  return Option(
      app_->add_flag_callback("--help-config", print_keys, "prints every key of the file: default, unit, range, help"));
}

}  // namespace gpumonth::cli
