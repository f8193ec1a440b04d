// SiLU on the conditioning vectors: (B, h) fp32, a handful of rows.
#pragma once

#include <cstdint>

#include "trainer/ops/device.h"

namespace gpumonth::ops {

/// y = x sigmoid(x), n elements fp32.
void silu_forward(Cpu& cpu, std::int64_t n, const float* x, float* y);
void silu_forward(Cuda& cuda, std::int64_t n, const float* x, float* y);

/// dx = dy silu'(x), n elements fp32; dx may be dy.
void silu_backward(Cpu& cpu, std::int64_t n, const float* x, const float* dy, float* dx);
void silu_backward(Cuda& cuda, std::int64_t n, const float* x, const float* dy, float* dx);

}  // namespace gpumonth::ops
