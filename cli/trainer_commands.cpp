#include "cli/commands.h"

namespace gpumonth::cli {

void add_trainer_commands(CLI::App& app) {
  add_train(app);
  add_probe(app);
  add_doctor(app);
}

}  // namespace gpumonth::cli
