// Between fp32 and the compute type.
#pragma once

#include <cstdint>

#include "trainer/ops/device.h"

namespace gpumonth::ops {

/// to[i] = from[i] rounded to nearest even; n elements.
template <class Device, class T>
void convert(Device& device, std::int64_t n, const float* from, T* to);

}  // namespace gpumonth::ops
