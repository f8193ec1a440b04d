// The patch embedding's position term: one row, added to every sample.
#pragma once

#include <cstdint>

#include "trainer/ops/device.h"

namespace gpumonth::ops {

/// x (B, n) += positions (n), fp32.
void add_broadcast(Cpu& cpu, std::int64_t batch, std::int64_t n, const float* positions, float* x);
void add_broadcast(Cuda& cuda, std::int64_t batch, std::int64_t n, const float* positions, float* x);

}  // namespace gpumonth::ops
