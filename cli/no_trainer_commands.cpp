// GPUMONTH_TRAINER=OFF: flops, budget and report only.
#include <fmt/format.h>

#include <cstdlib>

#include "cli/commands.h"

namespace gpumonth::cli {

void add_trainer_commands(Command) {}

void end_job(const std::string& message, int exit_code) {
  fmt::print(stderr, "gpumonth: {}\n", message);
  std::exit(exit_code);
}

}  // namespace gpumonth::cli
