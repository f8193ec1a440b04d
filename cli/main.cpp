// gpumonth <command> ...: parses the command line, runs one command, turns errors into one line and an exit
// code: 0 done, 1 a fault of ours or of a library, 2 a mistake the user can mend, text that could not be written
// included, 3 a training stopped by a signal.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <sstream>

#include "base/error.h"
#include "base/standard_output.h"
#include "cli/commands.h"
#include "cli/suggest.h"

namespace {

using namespace gpumonth;

void build(CLI::App& app) {
  app.name("gpumonth");
  app.set_help_flag("-h,--help", "prints this help");
  app.set_version_flag("--version", "gpumonth " GPUMONTH_VERSION, "prints the version");
  app.require_subcommand(1);
  app.get_formatter()->column_width(36);
  const cli::Command program(app);
  cli::add_trainer_commands(program);
  cli::add_flops(program);
  cli::add_fit(program);
  cli::add_compare(program);
  cli::add_budget(program);
  cli::add_report(program);
  cli::add_export(program);
  cli::add_import(program);
  app.footer(
      "'gpumonth COMMAND --help' says more. Ranks are started by mpirun or srun:\n"
      "  mpirun --bind-to none -n 2 gpumonth train configs/runs/tiny.toml\n"
      "Exit codes: 0 done; 1 a fault of the program or of a library; 2 something the user can mend, also where\n"
      "standard output could not be written; 3 a training was stopped by a signal and its checkpoint is written.");
}

int run(int argc, char** argv) {
  CLI::App app{
      "Trains a scaled-down Diffusion Transformer, logs every step, and turns the log into a training "
      "budget."};
  build(app);
  if (argc < 2) {
    fmt::print(stderr, "{}", app.help());
    return 2;
  }
  try {
    cli::check_command(app, argc, argv);
    app.parse(argc, argv);
    return 0;
  } catch (const CLI::RuntimeError& error) {  // a command that ends with a code of its own
    return error.get_exit_code();
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() != 0) cli::end_job(cli::parse_error_text(app, error), 2);
    std::ostringstream text;  // --help, --version
    app.exit(error, text, text);
    write_output(text.str());
    return 0;
  }
}

/// A stopped training keeps its code: scripts go on by it.
int with_output_written(int code) {
  try {
    require_output();
  } catch (const UserError& error) {
    cli::end_job(error.what(), code == 0 ? 2 : code);
  }
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  open_standard_streams();
  try {
    return with_output_written(run(argc, argv));
  } catch (const UserError& error) {
    cli::end_job(error.what(), 2);
  } catch (const std::exception& error) {
    cli::end_job(error.what(), 1);
  }
}
