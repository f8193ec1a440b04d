#include "scaling/compare/step_parts.h"

#include <algorithm>

namespace gpumonth::scaling {
namespace {

/// Busy times of the ranks, averaged over sampled steps, s.
struct Busy {
  double rank0_s = 0, mean_s = 0, slowest_s = 0;
  std::size_t steps = 0;
};

void add_busy(const runlog::Run& log, Busy& busy) {
  const auto ranks = static_cast<std::size_t>(log.info.world_size);
  for (std::size_t row = 0; row < log.rank_steps.size() && (row + 1) * ranks <= log.rank_step_time_s.size(); ++row) {
    if (!log.is_steady(log.rank_steps[row])) continue;
    const auto* times = &log.rank_step_time_s[row * ranks];
    double sum = 0;
    for (std::size_t r = 0; r < ranks; ++r) sum += times[r];
    busy.rank0_s += times[0];
    busy.mean_s += sum / static_cast<double>(ranks);
    busy.slowest_s += *std::max_element(times, times + ranks);
    ++busy.steps;
  }
}

}  // namespace

StepShares step_shares(std::span<const runlog::Run> logs, const runlog::Summary& summary) {
  const runlog::StepRecord& mean = summary.mean;
  double compute = mean.forward_s + mean.backward_s + mean.optimizer_s, exposed = mean.exposed_comm_s;
  Busy busy;
  for (const auto& log : logs) add_busy(log, busy);
  double stragglers = 0;
  if (busy.steps > 0) {
    const double steps = static_cast<double>(busy.steps);
    stragglers = (busy.slowest_s - busy.mean_s) / steps;
    // Rank 0 computes and waits; the average rank computes this much more and waits that much less.
    const double shift = (busy.mean_s - busy.rank0_s) / steps;
    const double comm = exposed - shift - stragglers;
    compute += shift + std::min(comm, 0.0);  // clocks of different ranks: a wait cannot be negative
    exposed = std::max(comm, 0.0);
  }
  return {compute, exposed, stragglers, mean.data_s, mean.step_time_s - compute - exposed - stragglers - mean.data_s};
}

}  // namespace gpumonth::scaling
