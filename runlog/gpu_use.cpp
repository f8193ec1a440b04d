#include "runlog/gpu_use.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <vector>

#include "runlog/summary.h"

namespace gpumonth::runlog {
namespace {

constexpr double kNotable = 0.01;  ///< share of the time below which a limit is no news

/// Mean by time of what a step's record says, over those where it does.
class TimeMean {
 public:
  void add(double value, double time_s) {
    if (!std::isfinite(value)) return;
    sum_ += value * time_s;
    time_s_ += time_s;
  }
  double mean() const { return time_s_ > 0 ? sum_ / time_s_ : std::nan(""); }

 private:
  double sum_ = 0, time_s_ = 0;
};

double has_bit(double limit, unsigned bit) {
  return std::isfinite(limit) ? (static_cast<unsigned>(limit) & bit ? 1.0 : 0.0) : std::nan("");
}

}  // namespace

GpuUse gpu_use(const Run& run) {
  double energy_j = 0, samples = 0;
  std::int64_t steps = 0, with_energy = 0;
  TimeMean power, clock, power_limit, heat_limit;
  for (const StepRecord& step : run.steady()) {
    ++steps;
    samples += static_cast<double>(step.samples);
    // A step without an answer is in the next one's.
    if (std::isfinite(step.energy_j)) ++with_energy, energy_j += step.energy_j;
    power.add(step.power_w, step.step_time_s);
    clock.add(step.sm_clock_mhz, step.step_time_s);
    power_limit.add(has_bit(step.clock_limit, 1), step.step_time_s);
    heat_limit.add(has_bit(step.clock_limit, 2), step.step_time_s);
  }
  GpuUse use;
  if (with_energy > 0) {
    use.energy_per_step_j = energy_j / static_cast<double>(steps);
    use.energy_per_sample_j = energy_j * run.info.world_size / samples;
  }
  use.power_w = power.mean();
  use.sm_clock_mhz = clock.mean();
  use.power_limited = power_limit.mean();
  use.heat_limited = heat_limit.mean();
  return use;
}

double mfu_at_clock(double mfu, double peak_sm_clock_mhz, double sm_clock_mhz) {
  return sm_clock_mhz > 0 ? mfu * peak_sm_clock_mhz / sm_clock_mhz : std::nan("");
}

std::string limits_text(const GpuUse& use) {
  if (!std::isfinite(use.power_limited)) return "";
  std::vector<std::string> limits;
  if (use.power_limited >= kNotable) limits.push_back(fmt::format("power-limited {:.0f} %", 100 * use.power_limited));
  if (use.heat_limited >= kNotable) limits.push_back(fmt::format("limited by heat {:.0f} %", 100 * use.heat_limited));
  return limits.empty() ? "not limited" : fmt::format("{} of the time", fmt::join(limits, ", "));
}

std::string gpu_text(const Run& run) {
  const Summary summary = summarize(run);
  if (summary.steps == 0) return "";
  const GpuUse use = gpu_use(run);
  std::vector<std::string> parts;
  if (std::isfinite(use.energy_per_step_j))
    parts.push_back(fmt::format("{:.4g} J a step, {:.4g} J a sample", use.energy_per_step_j, use.energy_per_sample_j));
  if (std::isfinite(use.power_w)) parts.push_back(fmt::format("{:.0f} W", use.power_w));
  if (std::isfinite(use.sm_clock_mhz)) parts.push_back(fmt::format("{:.0f} MHz", use.sm_clock_mhz));
  if (const std::string limits = limits_text(use); !limits.empty()) parts.push_back(limits);
  if (const double mfu = summary.model_flops_per_s / (run.info.peak_flops_per_s * run.info.world_size);
      std::isfinite(mfu)) {
    std::string text = fmt::format("MFU {:.1f} % of {:.1f} TFLOP/s", 100 * mfu, run.info.peak_flops_per_s / 1e12);
    if (const double held = mfu_at_clock(mfu, run.info.peak_sm_clock_mhz, use.sm_clock_mhz); std::isfinite(held))
      text += fmt::format(", {:.1f} % of the peak at the clock that was held (the datasheet's is at {:.0f} MHz)",
                          100 * held, run.info.peak_sm_clock_mhz);
    parts.push_back(text);
  }
  return parts.empty() ? "" : fmt::format("rank 0's GPU: {}", fmt::join(parts, "; "));
}

}  // namespace gpumonth::runlog
