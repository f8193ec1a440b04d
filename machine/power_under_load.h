// What a GPU takes, and which clock it holds, while something keeps it busy: for doctor's rates.
#pragma once

#include <functional>
#include <limits>

#include "machine/power.h"

namespace gpumonth::machine {

struct PowerUnderLoad {
  double power_w = std::numeric_limits<double>::quiet_NaN();       ///< median of the busy samples, as is the clock
  double sm_clock_mhz = std::numeric_limits<double>::quiet_NaN();  ///< NaN: the driver does not say; so in the others
  double power_limit_w = std::numeric_limits<double>::quiet_NaN();
  double highest_sm_clock_mhz = std::numeric_limits<double>::quiet_NaN();
  bool power_limited = false, heat_limited = false;  ///< in most of the busy samples

  bool known() const { return power_w == power_w; }
};

/// Runs `work`, which keeps the GPU of `meter` busy for a second or more, and samples beside it on a thread of its own.
/// Busy is a sample of at least 80 % of the highest power: the rest is how `work` begins and ends.
PowerUnderLoad power_under_load(PowerMeter& meter, const std::function<void()>& work);

}  // namespace gpumonth::machine
