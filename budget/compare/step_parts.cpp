#include "budget/compare/step_parts.h"

#include <algorithm>
#include <set>
#include <vector>

#include "base/quantile.h"

namespace gpumonth::budget {
namespace {

/// Busy times of the ranks, averaged over sampled steps, s.
struct Busy {
  double rank0_s = 0, mean_s = 0, slowest_s = 0;
  std::size_t steps = 0;
};

void add_busy(const runlog::Run& log, const std::set<std::int64_t>& wanted, Busy& busy) {
  const auto ranks = static_cast<std::size_t>(log.info.world_size);
  for (std::size_t row = 0; row < log.rank_steps.size() && (row + 1) * ranks <= log.rank_step_time_s.size();
       ++row) {
    if (!wanted.contains(log.rank_steps[row])) continue;
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

StepShares step_shares(std::span<const runlog::Run> logs, double step_time_s) {
  std::vector<double> times_s;
  for (const auto& log : logs)
    for (const auto& step : log.steady()) times_s.push_back(step.step_time_s);
  const double low = quantile(times_s, 0.25), high = quantile(times_s, 0.75);
  double compute = 0, exposed = 0, input = 0, total = 0, count = 0;
  Busy busy;
  for (const auto& log : logs) {
    std::set<std::int64_t> typical;
    for (const auto& step : log.steady()) {
      if (step.step_time_s < low || step.step_time_s > high) continue;
      typical.insert(step.step);
      compute += step.forward_s + step.backward_s + step.optimizer_s;
      exposed += step.exposed_comm_s;
      input += step.data_s;
      total += step.step_time_s;
      ++count;
    }
    add_busy(log, typical, busy);
  }
  if (count == 0 || !(total > 0)) return {0, 0, 0, 0, step_time_s};
  compute /= count;
  exposed /= count;
  input /= count;
  total /= count;
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
  StepShares shares = {compute, exposed, stragglers, input, total - compute - exposed - stragglers - input};
  for (double& share : shares) share *= step_time_s / total;
  return shares;
}

}  // namespace gpumonth::budget
