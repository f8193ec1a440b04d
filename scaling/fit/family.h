// Which curves were measured by the same people in the same way: what is left out together, and resampled together.
#pragma once

#include <string>

namespace gpumonth::scaling {

/// Of a curve's name: "mlperf_v3", "mlperf_v1-2" (one benchmark), else all before the first underscore.
std::string family(const std::string& curve);

}  // namespace gpumonth::scaling
