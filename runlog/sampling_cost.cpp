#include "runlog/sampling_cost.h"

#include <fmt/format.h>

#include <cmath>

#include "runlog/summary.h"

namespace gpumonth::runlog {

SamplingCost sampling_cost(const Run& log) {
  const Summary s = summarize(log);
  SamplingCost cost{.steps = s.steps};
  if (s.steps == 0) return cost;
  cost.step_s = s.mean.step_time_s;
  cost.batch = static_cast<double>(log.info.global_batch) / log.info.world_size;
  cost.flops_per_s = s.model_flops_per_s;
  const double ranks = s.batch() / cost.batch;  // that had samples, mean: in the last round some may have none
  cost.rank_flops_per_s = cost.flops_per_s / ranks;
  if (log.info.power_source.empty()) return cost;
  double energy = 0;
  for (const StepRecord& step : log.steady()) energy += std::isfinite(step.energy_j) ? step.energy_j : 0;
  if (energy > 0) cost.energy_j = energy / static_cast<double>(s.steps);
  return cost;
}

std::string to_text(const SamplingCost& c, const RunInfo& info) {
  if (c.steps == 0 || !info.sampling) return "";
  const SamplingInfo& s = *info.sampling;
  std::string text = fmt::format(
      "{}, {} steps, {}: {:.4g} ms a denoising step of {:g} samples, {:.4g} ms a sample; {:.1f} GFLOP/s a rank",
      s.sampler, s.steps, s.guidance != 1 ? fmt::format("guidance {:g}", s.guidance) : "no guidance", 1e3 * c.step_s,
      c.batch, 1e3 * c.rank_s_per_sample_step(), c.rank_flops_per_s / 1e9);
  if (std::isfinite(info.gemm_peak_flops_per_s))
    text += fmt::format(", {:.1f} % of the GEMM rate", 100 * c.rank_flops_per_s / info.gemm_peak_flops_per_s);
  if (std::isfinite(info.peak_flops_per_s))
    text += fmt::format(", {:.1f} % of the peak", 100 * c.rank_flops_per_s / info.peak_flops_per_s);
  if (std::isfinite(c.energy_j)) text += fmt::format("; {:.3g} J a step of rank 0's GPU", c.energy_j);
  return text;
}

}  // namespace gpumonth::runlog
