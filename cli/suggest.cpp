#include "cli/suggest.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

#include "base/config.h"
#include "base/error.h"

namespace gpumonth::cli {
namespace {

std::vector<std::string> command_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(command->get_name());
  }
  return names;
}

/// "--json", "--set", ...: what the command that was given (or `app` before one) takes.
std::vector<std::string> option_names(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::Option* option : command.get_options([](const CLI::Option*) { return true; })) {
    for (const auto& name : option->get_lnames()) names.push_back(fmt::format("--{}", name));
  }
  return names;
}

std::string did_you_mean(const std::string& near) {
  return near.empty() ? "" : fmt::format(" (did you mean '{}'?)", near);
}

}  // namespace

void check_command(const CLI::App& app, int argc, const char* const* argv) {
  if (argc < 2 || argv[1][0] == '-') return;
  const std::string word = argv[1];
  const auto names = command_names(app);
  if (std::find(names.begin(), names.end(), word) != names.end()) return;
  user_error("unknown command '{}'{}; commands: {}", word, did_you_mean(config::nearest(word, names)),
             fmt::join(names, ", "));
}

std::string parse_error_text(const CLI::App& app, const CLI::ParseError& error) {
  const auto given = app.get_subcommands();
  const CLI::App& command = given.empty() ? app : *given.front();
  const std::string who = given.empty() ? "" : command.get_name() + ": ";
  const std::string help = fmt::format("; see 'gpumonth {}--help'", given.empty() ? "" : command.get_name() + " ");
  for (const std::string& argument : app.remaining(true)) {
    if (argument.size() < 2 || argument[0] != '-') continue;
    const std::string option = argument.substr(0, argument.find('='));
    const std::string near = config::nearest(option, option_names(command));
    return fmt::format("{}unknown option '{}'{}{}", who, option, did_you_mean(near), help);
  }
  std::string text = error.what();
  std::replace(text.begin(), text.end(), '\n', ' ');
  return who + text + help;
}

}  // namespace gpumonth::cli
