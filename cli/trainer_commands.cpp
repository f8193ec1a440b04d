#include "base/standard_output.h"
#include "cli/commands.h"
#include "comm/launch.h"

namespace gpumonth::cli {

void add_trainer_commands(Command app) {
  add_train(app);
  add_replay(app);
  add_sample(app);
  add_evaluate(app);
  add_probe(app);
  add_comm(app);
  add_doctor(app);
  add_simulate(app);
}

void end_job(const std::string& message, int exit_code) {
  if (output_is_ready()) flush_output();  // what was said before the error
  comm::fail(message, exit_code);
}

}  // namespace gpumonth::cli
