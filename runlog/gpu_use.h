// What rank 0's GPU took, and at which clock it ran, over the steps that count (runlog/summary.h).
//
// A GPU at its power limit lowers its clock, and its peak with it: MFU over the datasheet's peak then says how good the
// program is at saving energy, and MFU over the peak at the clock that was held how busy it keeps what it was given.
//
//   peak at a clock = datasheet peak x clock / clock at which the datasheet's peak is reached
#pragma once

#include <limits>
#include <string>

#include "runlog/record.h"

namespace gpumonth::runlog {

/// NaN where the log does not say. Means and shares are by time, of steady steps.
struct GpuUse {
  double energy_per_step_j = std::numeric_limits<double>::quiet_NaN();    ///< of rank 0's GPU
  double energy_per_sample_j = std::numeric_limits<double>::quiet_NaN();  ///< of all, as if they all took what it did
  double power_w = std::numeric_limits<double>::quiet_NaN();
  double sm_clock_mhz = std::numeric_limits<double>::quiet_NaN();
  double power_limited =
      std::numeric_limits<double>::quiet_NaN();                    ///< share of the time that power held the clock down
  double heat_limited = std::numeric_limits<double>::quiet_NaN();  ///< and heat

  bool known() const { return energy_per_step_j == energy_per_step_j || power_w == power_w; }
};

GpuUse gpu_use(const Run& run);

/// NaN where one of the three is unknown.
double mfu_at_clock(double mfu, double peak_sm_clock_mhz, double sm_clock_mhz);

/// "power-limited 97 % of the time", "limited by heat 12 % of the time", both, "not limited"; "" where it is unknown.
std::string limits_text(const GpuUse& use);

/// The line of train's end: "rank 0's GPU: 140.6 J a step, 1.10 J a sample; ...; MFU 46.1 % of ..., 56.2 % of ..."; empty
/// where neither a meter nor a peak says anything.
std::string gpu_text(const Run& run);

}  // namespace gpumonth::runlog
