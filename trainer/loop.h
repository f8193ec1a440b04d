// One training run: the loop that joins data, step, communication, log and checkpoints. What the step computes, and
// where, it does not know.
#pragma once

#include <string>

#include "comm/transport.h"
#include "trainer/run_config.h"
#include "trainer/run_info.h"
#include "trainer/step.h"

namespace gpumonth::trainer {

struct TrainResult {
  std::int64_t last_step = 0;
  double last_loss = 0;
  std::string run_log = {}, checkpoint = {};  ///< paths; empty where none was written
  int stopped_by_signal = 0;                  ///< 0: ran to its end
};

/// Collective. Runs `step`, which was made for `config` and is new, to the end of the run. Prints the resolved
/// configuration and progress on rank 0. A step without state() is run without checkpoints, whatever `config` says of
/// them. Throws UserError: output exists, bad checkpoint or data, run.resume for a step without state, a loss that is not
/// finite (log and last checkpoint stay), data of a later step that cannot be read on any rank (log and a checkpoint of
/// the step before stay).
TrainResult train(const RunConfig& config, const ResolvedRun& resolved, comm::Transport& transport, TrainingStep& step);

}  // namespace gpumonth::trainer
