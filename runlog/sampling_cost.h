// What denoising cost by a log of `gpumonth sample`, over the steps that count (runlog/summary.h).
#pragma once

#include <limits>
#include <string>

#include "runlog/record.h"

namespace gpumonth::runlog {

struct SamplingCost {
  std::int64_t steps = 0;       ///< that count; 0: nothing below is known
  double step_s = 0;            ///< mean time of one denoising step of a rank's batch
  double batch = 0;             ///< samples of a rank in it
  double flops_per_s = 0;       ///< of all ranks
  double rank_flops_per_s = 0;  ///< of one
  /// J a denoising step of a rank's batch, of rank 0's GPU; NaN where no meter was read.
  double energy_j = std::numeric_limits<double>::quiet_NaN();

  double rank_s_per_sample_step() const { return step_s / batch; }  ///< s of one rank, one sample, one step
};

/// `log` is one of sampling.
SamplingCost sampling_cost(const Run& log);

/// "ddpm, 250 steps, guidance 4: 12.3 ms a denoising step of 8 samples, 1.54 ms a sample; 45.2 GFLOP/s a rank, 71 % of the
/// GEMM rate; ...". Empty without steps that count.
std::string to_text(const SamplingCost& cost, const RunInfo& info);

}  // namespace gpumonth::runlog
