// SiLU on the conditioning vectors: (B, h) fp32, a handful of rows.
#pragma once

#include <cstdint>

#include "trainer/ops/device.h"

namespace gpumonth::ops {

/// y = x sigmoid(x), n elements fp32.
template <class Device>
void silu_forward(Device& device, std::int64_t n, const float* x, float* y);

/// dx = dy silu'(x), n elements fp32; dx may be dy.
template <class Device>
void silu_backward(Device& device, std::int64_t n, const float* x, const float* dy, float* dx);

/// x (B, n) += positions (n), broadcast over the batch: the patch embedding's position term.
template <class Device>
void add_broadcast(Device& device, std::int64_t batch, std::int64_t n, const float* positions, float* x);

}  // namespace gpumonth::ops
