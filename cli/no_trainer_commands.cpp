// GPUMONTH_TRAINER=OFF: flops, budget and report only.
#include "cli/commands.h"

namespace gpumonth::cli {

void add_trainer_commands(CLI::App&) {}

}  // namespace gpumonth::cli
