// Options that mean the same in every command.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/error.h"
#include "base/standard_output.h"
#include "cli/commands.h"

namespace gpumonth::cli {
namespace {

constexpr std::int64_t kMostGpus = 10'000'000;

}  // namespace

CLI::Option* add_set_option(CLI::App& command, std::vector<std::string>& overrides) {
  return command
      .add_option("--set", overrides, "overrides one key of the file, e.g. --set model.depth=2; repeatable")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
}

CLI::Option* add_json_flag(CLI::App& command, bool& json) {
  return command.add_flag("--json", json, "prints JSON for programs instead of text");
}

CLI::Option* add_help_config_flag(CLI::App& command, std::function<std::string()> text) {
  const auto print_keys = [text = std::move(text)] {
    print("{}", text());
    throw CLI::Success();
  };
  return command.add_flag_callback("--help-config", print_keys,
                                   "prints every key of the file: default, unit, range, help");
}

CLI::Option* add_gpus_option(CLI::App& command, std::string& gpus) {
  return command
      .add_option(
          "--gpus", gpus,
          "GPUs that train at the same time, instead of the scenario's cost.gpus; several: a table of them")
      ->type_name("N,N,...");
}

std::vector<std::int64_t> parse_gpus(const std::string& text) {
  std::vector<std::int64_t> numbers;
  if (text.empty()) return numbers;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    std::int64_t n = 0;
    const auto [rest, error] = std::from_chars(text.data() + begin, text.data() + end, n);
    if (error != std::errc{} || rest != text.data() + end || n < 1 || n > kMostGpus)
      user_error(
          "--gpus {}: '{}' is not a number of GPUs: give whole numbers from 1 to {:d}, as in --gpus 512,1024",
          text, text.substr(begin, end - begin), kMostGpus);
    numbers.push_back(n);
    begin = end + 1;
  }
  return numbers;
}

}  // namespace gpumonth::cli
