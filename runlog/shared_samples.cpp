#include "runlog/shared_samples.h"

#include <fmt/format.h>

namespace gpumonth::runlog {

std::string shared_samples_text(const Run& run) {
  const RunInfo& info = run.info;
  if (info.sequence_share > 1)
    return fmt::format(
        "one of {0} ranks' share of each sample, alone and without what the {0} would exchange: no training, its losses mean "
        "nothing; FLOPs and tokens are the share's, samples/s those of all {0} if sending took no time",
        info.sequence_share);
  if (info.sequence_ranks == 1) return "";
  double exchange_s = 0, compute_s = 0, bytes = 0, steps = 0;
  for (const StepRecord& step : run.steady()) {
    exchange_s += step.exchange_s;
    compute_s += step.forward_s + step.backward_s;
    bytes += static_cast<double>(step.exchanged_bytes);
    ++steps;
  }
  const std::string who = fmt::format("{} ranks share each sample", info.sequence_ranks);
  if (steps == 0 || !(compute_s > 0)) return who;
  return fmt::format(
      "{}: all-to-alls between them are {:.2f} of {:.1f} ms of forward and backward ({:.1f} %), {:.2f} MB sent by each rank",
      who, exchange_s / steps * 1e3, compute_s / steps * 1e3, 100 * exchange_s / compute_s, bytes / steps / 1e6);
}

}  // namespace gpumonth::runlog
