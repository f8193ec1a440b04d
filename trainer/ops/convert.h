// Between fp32 and the compute type.
#pragma once

#include <cstdint>

#include "trainer/ops/bf16.h"
#include "trainer/ops/device.h"

namespace gpumonth::ops {

/// to[i] = from[i] rounded to nearest even; n elements.
void convert(Cpu& cpu, std::int64_t n, const float* from, float* to);
void convert(Cpu& cpu, std::int64_t n, const float* from, bf16* to);
void convert(Cuda& cuda, std::int64_t n, const float* from, float* to);
void convert(Cuda& cuda, std::int64_t n, const float* from, bf16* to);

}  // namespace gpumonth::ops
