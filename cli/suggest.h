// Mistyped words on the command line, with the nearest right one.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace gpumonth::cli {

/// Throws UserError where argv[1] is meant as a command and is none.
void check_command(const CLI::App& app, int argc, const char* const* argv);

/// One line for a parse error: an option that no command has is named with the nearest one.
std::string parse_error_text(const CLI::App& app, const CLI::ParseError& error);

}  // namespace gpumonth::cli
