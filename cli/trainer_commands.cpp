#include <string_view>

#include "base/standard_output.h"
#include "cli/commands.h"
#include "comm/launch.h"
#include "trainer/wait_policy.h"

namespace gpumonth::cli {

void add_trainer_commands(CLI::App& app) {
  add_train(app);
  add_probe(app);
  add_comm(app);
  add_doctor(app);
}

void prepare_process(int argc, char** argv) {
  const std::string_view command = argc > 1 ? argv[1] : "";
  if (command == "train" || command == "probe" || command == "doctor") trainer::choose_wait_policy(argv);
}

void end_job(const std::string& message, int exit_code) {
  if (output_is_ready()) flush_output();  // what was said before the error
  comm::fail(message, exit_code);
}

}  // namespace gpumonth::cli
