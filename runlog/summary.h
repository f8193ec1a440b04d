// The steady steps of a run in one line of medians: what `train` prints at its end.
#pragma once

#include <string>

#include "runlog/record.h"

namespace gpumonth::runlog {

struct Summary {
  std::int64_t steps = 0;  ///< steady ones
  StepRecord median;       ///< each time's own median, s; meaningless where steps == 0
  double samples_per_s = 0, model_flops_per_s = 0;  ///< at the median step time
  /// Share of the communication that hid behind backward: 1 - sum(exposed) / sum(comm); NaN without any.
  double hidden_comm = 0;
};

Summary summarize(const Run& run);

/// "120 steady steps: 51.2 ms = data 0.1 + forward 16.0 + ...; 78.1 samples/s, ..."; empty without steady steps.
std::string to_text(const Summary& summary);

}  // namespace gpumonth::runlog
