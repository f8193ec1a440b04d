// What the steps of a run say about its speed: the one reading that `fit`, `compare`, `budget`, `report` and the
// closing line of `train` share. docs/runlog.md has the same in h5py.
//
// Every step whose phase is steady counts, none is dropped by a heuristic, and
//
//   throughput = sum(samples) / sum(step time)
//
// A long run is paid by its total time, so slow steps count in full; and the batch may change from step to step.
#pragma once

#include <span>
#include <string>

#include "runlog/record.h"

namespace gpumonth::runlog {

struct StepsAndTime {
  std::int64_t steps = 0;
  double time_s = 0;
};

/// Of one run: one log, or several after a resume.
struct Summary {
  std::int64_t steps = 0;  ///< that count; where 0, only what was left out below means anything
  double time_s = 0, samples = 0, tokens = 0, model_flops = 0, hardware_flops = 0;  ///< sums over these
  std::int64_t least_samples = 0, most_samples = 0;                                 ///< of one of these steps
  StepRecord mean;  ///< of each time column, s, over these steps; what no column claims is other_s()
  double samples_per_s = 0, model_flops_per_s = 0;
  /// Share of the communication that hid behind backward: 1 - sum(exposed) / sum(comm); NaN without any.
  double hidden_comm = 0;

  StepsAndTime warm_up, checkpoint;  ///< left out
  /// Leading steps that count although they are slower than what follows (warm_up_length); 0 where that changes the
  /// throughput by less than 1 %.
  StepsAndTime slow_start;
  double samples_per_s_after = 0;  ///< without these

  double batch() const { return samples / static_cast<double>(steps); }            ///< mean samples of a step
  double tokens_per_sample() const { return samples > 0 ? tokens / samples : 0; }  ///< 0: unknown
  double other_s() const;
};

Summary summarize(std::span<const Run> logs);
Summary summarize(const Run& run);

/// "3 of 100 steps are left out (3 warm_up), 3.1 % of the time"; empty where none is.
std::string left_out_text(const Summary& summary);

/// "the first 45 of 100 steady steps are slower (62 % of the time): 27.6 samples/s with them, 40.0 without"; empty
/// where none are.
std::string slow_start_text(const Summary& summary);

/// "120 steady steps, mean 51.2 ms = data 0.1 + forward 16.0 + ...; 78.1 samples/s, ..."; then what was left out. Empty
/// without steady steps.
std::string to_text(const Summary& summary);

}  // namespace gpumonth::runlog
