// Sums over rows in fixed chunks, then over the chunks in order: the same bits for any number of threads.
#pragma once

#include <algorithm>
#include <cstdint>

#include "trainer/ops/cpu/parallel.h"

namespace gpumonth::ops {

constexpr std::int64_t kRowChunk = 32;

inline std::int64_t row_chunks(std::int64_t rows) { return (rows + kRowChunk - 1) / kRowChunk; }

/// out[c] = sum over `count` partial rows of partial[i * stride + c].
inline void add_partials(const Cpu& cpu, std::int64_t count, std::int64_t columns, std::int64_t stride,
                         const float* partial, float* out) {
  parallel_for(cpu, columns, 256, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t c = begin; c < end; ++c) out[c] = 0.0f;
    for (std::int64_t i = 0; i < count; ++i) {
      const float* row = partial + i * stride;
#pragma omp simd
      for (std::int64_t c = begin; c < end; ++c) out[c] += row[c];
    }
  });
}

}  // namespace gpumonth::ops
