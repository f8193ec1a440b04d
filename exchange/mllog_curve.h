// Result logs of MLPerf Training -> a scaling curve, derived as those of configs/published/scaling.csv were.
#pragma once

#include <string>
#include <vector>

#include "scaling/curve.h"

namespace gpumonth::exchange {

struct MllogOptions {
  bool each_run = false;  ///< a point for each log, instead of one for all logs of a rank count and global batch
  std::string unit = {};  ///< of a logged throughput; empty: samples/s
};

/// `places`: logs, or folders of them, each may be written "16:PLACE", where logs do not say on how many accelerators
/// they ran. The throughput of a point is the median over the blocks of all of its successful runs, the first block of
/// each run left out, of global batch / train_step_time where that is logged, else of the throughput that is; else
/// samples / (run_stop - run_start), evaluations included. Logs that did not reach the target are left out with a note.
/// Throws UserError: a place that is not there, logs of two benchmarks, one without ranks, batch or any speed, none
/// left.
scaling::ScalingCurve curve_of_mllogs(const std::vector<std::string>& places, const MllogOptions& options);

}  // namespace gpumonth::exchange
