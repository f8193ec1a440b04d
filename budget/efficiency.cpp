#include "budget/efficiency.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/quantile.h"
#include "budget/statistics.h"

namespace gpumonth::budget {
namespace {

/// The denominator of the MFU, and where it comes from.
void choose_peak(const runlog::RunInfo& info, Efficiency& e) {
  const auto usable = [](double x) { return std::isfinite(x) && x > 0; };
  if (usable(info.peak_flops_per_s)) {
    e.peak_flops_per_s = info.peak_flops_per_s;
    e.peak_source = info.peak_source;
    e.peak_is_measured = info.backend == "cpu" || info.peak_source.starts_with("measured");
  } else if (usable(info.gemm_peak_flops_per_s)) {
    e.peak_flops_per_s = info.gemm_peak_flops_per_s;
    e.peak_source = "matrix product measured on one rank at the start of the run";
    e.peak_is_measured = true;
  } else {
    e.why_unknown = fmt::format("the log has no peak for '{}' and no measured GEMM rate", info.device_name);
  }
}

void derive_mfu(const std::vector<double>& flops, const std::vector<double>& seconds, Efficiency& e) {
  const double all_ranks_peak = e.peak_flops_per_s * e.ranks;
  std::vector<double> step_mfu;
  for (std::size_t i = 0; i < flops.size(); ++i) step_mfu.push_back(flops[i] / (seconds[i] * all_ranks_peak));
  const Interval interval = bootstrap_ratio(flops, seconds);
  e.mfu = e.flops_per_s / all_ranks_peak;
  e.mfu_low = std::min(e.mfu, interval.low / all_ranks_peak);
  e.mfu_high = std::max(e.mfu, interval.high / all_ranks_peak);
  e.step_mfu_p5 = quantile(step_mfu, 0.05);
  e.step_mfu_median = quantile(step_mfu, 0.5);
  e.step_mfu_p95 = quantile(step_mfu, 0.95);
}

}  // namespace

Efficiency efficiency_of(const runlog::Run& run) {
  Efficiency e;
  e.path = run.path;
  e.device_name = run.info.device_name;
  e.model_name = run.info.model_name;
  e.dtype = run.info.dtype;
  e.transport = run.info.transport;
  e.backend = run.info.backend;
  e.ranks = run.info.world_size;
  if (run.info.backend == "cpu") e.units_per_rank = std::max(1, run.info.threads_per_rank);
  e.global_batch = run.info.global_batch;
  std::vector<double> seconds, flops;
  double total_s = 0, total_flops = 0, total_hardware_flops = 0, total_samples = 0;
  for (const auto& step : run.steady()) {
    if (!(step.step_time_s > 0) || !std::isfinite(step.model_flops)) continue;
    seconds.push_back(step.step_time_s);
    flops.push_back(step.model_flops);
    total_s += step.step_time_s;
    total_flops += step.model_flops;
    total_hardware_flops += std::isfinite(step.hardware_flops) ? step.hardware_flops : step.model_flops;
    total_samples += static_cast<double>(step.samples);
  }
  e.steps = seconds.size();
  if (e.steps == 0) {
    e.why_unknown =
        fmt::format("the log has {} steps, none of them steady: train for longer", run.steps.size());
    return e;
  }
  e.step_median_s = quantile(seconds, 0.5);
  e.step_p5_s = quantile(seconds, 0.05);
  e.step_p95_s = quantile(seconds, 0.95);
  e.samples_per_s = total_samples / total_s;
  e.flops_per_s = total_flops / total_s;
  if (total_flops > 0) e.hardware_over_model_flops = std::max(1.0, total_hardware_flops / total_flops);
  choose_peak(run.info, e);
  if (e.has_mfu()) derive_mfu(flops, seconds, e);
  return e;
}

Number pooled_mfu(const std::vector<Efficiency>& runs) {
  Number mfu;
  for (const auto& run : runs) {
    if (!run.has_mfu()) continue;
    mfu.low = mfu.known() ? std::min(mfu.low, run.mfu_low) : run.mfu_low;
    mfu.high = std::isfinite(mfu.high) ? std::max(mfu.high, run.mfu_high) : run.mfu_high;
    mfu.inputs.push_back("run " + run.path);
  }
  return mfu.as(
      "1",
      "lowest low and highest high of the runs' 90 % intervals of sum(model FLOPs) / (sum(step time) x "
      "ranks x peak of one rank), steady steps");
}

bool is_carried_over(const std::vector<Efficiency>& runs, const model::Hardware& target) {
  return std::any_of(runs.begin(), runs.end(), [&](const Efficiency& run) {
    return run.has_mfu() && (run.peak_is_measured || model::match({target}, run.device_name) == nullptr);
  });
}

Number carried_over() {
  Number factor = exactly(1);
  factor.tag = Tag::assumed;
  factor.inputs = {kCarriedOver};
  return factor;
}

}  // namespace gpumonth::budget
