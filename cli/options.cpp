// Options that mean the same in every command.
#include <fmt/format.h>

#include <utility>

#include "cli/commands.h"

namespace gpumonth::cli {

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
  const auto print = [text = std::move(text)] {
    fmt::print("{}", text());
    throw CLI::Success();
  };
  return command.add_flag_callback("--help-config", print,
                                   "prints every key of the file: default, unit, range, help");
}

}  // namespace gpumonth::cli
