// Run logs as a recording: the steps whose compute is replayed, and what else a replay has to know of the run.
#pragma once

#include <string>
#include <vector>

#include "replay/ready_times.h"
#include "replay/recorded_config.h"
#include "replay/stragglers.h"
#include "runlog/record.h"

namespace gpumonth::replay {

/// Where a step's time goes on one rank without its communication, s: without what it waited for weights or was in all-to-alls.
struct StepTimes {
  double data_s = 0;  ///< waiting for the batch
  double forward_s = 0, backward_s = 0, optimizer_s = 0;
  double other_s = 0;  ///< what no column claims: between two steps
};

/// The steady steps of one log, as its rank 0 saw them.
struct RecordedSteps {
  double batch_per_rank = 0;  ///< samples that a rank has, or has a part of
  std::vector<StepTimes> steps;
  StepTimes mean;
  /// Rank 0's busy time over that of all ranks in the mean: rank 0 may be a slow one. 1 where the log does not say.
  double rank0 = 1;
};

struct Recording {
  runlog::RunInfo info;  ///< of the first log
  RecordedConfig config;
  std::vector<std::string> paths;
  std::vector<RecordedSteps> logs;  ///< in the order given, one at least
  std::vector<Segment> segments;    ///< of the flat gradient buffer, in the order of backward
  ReadyTimes ready;
  Spread spread;  ///< zero where no log has several ranks
};

/// Throws UserError: no log, logs that are not of the same model, type, device and threads, one without steady steps or
/// without backward times, one that is simulated, and what recorded_config() refuses.
Recording record(const std::vector<runlog::Run>& logs);

}  // namespace gpumonth::replay
