#include "budget/inputs/sampled_run.h"

#include <algorithm>

namespace gpumonth::budget {

SampledRun sampled_run(const runlog::Run& run) { return {efficiency_of(run), run.info.sampling.value()}; }

Number sampled_utilisation(const std::vector<SampledRun>& runs, bool guided, const model::Hardware& target) {
  const auto fits = [&](const SampledRun& run) { return run.efficiency.has_mfu() && run.guided() == guided; };
  const bool some = std::any_of(runs.begin(), runs.end(), fits);
  std::vector<Efficiency> counted;
  for (const SampledRun& run : runs)
    if (!some || fits(run)) counted.push_back(run.efficiency);
  const Number reached = pooled_mfu(counted);
  if (!reached.known() || !is_carried_over(counted, target)) return reached;
  return (reached * carried_over()).as(reached.unit, reached.formula);
}

}  // namespace gpumonth::budget
