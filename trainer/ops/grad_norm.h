// The Euclidean norm of the flat gradient, the same bits whatever the thread or rank count, and the clipping factor.
#pragma once

#include <cstdint>

#include "trainer/ops/device.h"
#include "trainer/ops/math.h"

namespace gpumonth::ops {

constexpr std::int64_t kNormBlock = 65536;  ///< elements per partial sum

/// Partial sums of n values.
constexpr std::int64_t norm_blocks(std::int64_t n) { return (n + kNormBlock - 1) / kNormBlock; }

/// As many as every rank needs for its part of n values that lie in `cuts` segments and buckets: no rank owns more than an
/// equal part and a block a segment.
constexpr std::int64_t shard_norm_blocks(std::int64_t n, std::int64_t cuts) { return norm_blocks(n) + 2 * cuts; }

/// partial[b - first] = sum of values[i]^2 over block b, in double, for blocks first .. last - 1 of n values; 0 for a
/// block beyond them.
void squares_by_block(Cpu& cpu, const float* values, std::int64_t n, std::int64_t first, std::int64_t last,
                      double* partial);
void squares_by_block(Cuda& cuda, const float* values, std::int64_t n, std::int64_t first, std::int64_t last,
                      double* partial);

/// *clipping from `count` partial sums, added in a fixed order; as torch.nn.utils.clip_grad_norm_. clip_norm 0: no
/// clipping. A NaN or an infinity among the values makes it not finite.
void clipping(Cpu& cpu, const double* partial, std::int64_t count, double clip_norm, Clipping* clipping);
void clipping(Cuda& cuda, const double* partial, std::int64_t count, double clip_norm, Clipping* clipping);

}  // namespace gpumonth::ops
