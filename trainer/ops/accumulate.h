// Gradients of one micro-batch added to those of others.
#pragma once

#include <cstdint>

#include "trainer/ops/device.h"

namespace gpumonth::ops {

/// sum (n) += values (n), fp32.
void accumulate(Cpu& cpu, std::int64_t n, const float* values, float* sum);
void accumulate(Cuda& cuda, std::int64_t n, const float* values, float* sum);

}  // namespace gpumonth::ops
