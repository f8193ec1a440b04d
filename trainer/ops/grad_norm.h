// The Euclidean norm of the flat gradient, the same bits whatever the thread count, and the clipping factor.
#pragma once

#include <cstdint>

#include "trainer/ops/device.h"

namespace gpumonth::ops {

constexpr std::int64_t kNormBlock = 65536;  ///< elements per partial sum

/// Elements of the scratch that sum_of_squares() needs for n values.
constexpr std::int64_t sum_of_squares_scratch(std::int64_t n) { return (n + kNormBlock - 1) / kNormBlock; }

/// *sum = sum of values[i]^2 in double: one partial sum per kNormBlock elements (left in `scratch`, of
/// sum_of_squares_scratch(n) doubles), added in order. A NaN or an infinity in the values reaches the sum.
template <class Device>
void sum_of_squares(Device& device, const float* values, std::int64_t n, double* scratch, double* sum);

/// The factor that brings a gradient of this norm to at most clip_norm, as torch.nn.utils.clip_grad_norm_;
/// clip_norm 0: no clipping.
double clip_scale(double norm, double clip_norm);

}  // namespace gpumonth::ops
