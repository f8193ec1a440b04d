// GPUMONTH_TRAINER=OFF: flops, budget and report only.
#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>

#include "base/clean_text.h"
#include "base/standard_output.h"
#include "cli/commands.h"

namespace gpumonth::cli {

void add_trainer_commands(Command) {}

void end_job(const std::string& message, int exit_code) {
  if (output_is_ready()) flush_output();  // what was said before the error
  const std::string line = fmt::format("gpumonth: {}\n", clean_line(message));
  std::fputs(line.c_str(), stderr);
  std::exit(exit_code);
}

}  // namespace gpumonth::cli
