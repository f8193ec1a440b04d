#include "trainer/ops/grad_norm.h"

#include <algorithm>

#include "trainer/ops/cpu/parallel.h"

namespace gpumonth::ops {
namespace {

double block_sum(const float* values, std::int64_t n) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < n; ++i) sum += static_cast<double>(values[i]) * static_cast<double>(values[i]);
  return sum;
}

}  // namespace

void squares_by_block(Cpu& cpu, const float* values, std::int64_t n, std::int64_t first, std::int64_t last,
                      double* partial) {
  parallel_for(cpu, last - first, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t b = begin; b < end; ++b) {
      const std::int64_t at = (first + b) * kNormBlock;
      partial[b] = block_sum(values + at, std::min(kNormBlock, n - at));
    }
  });
}

void clipping(Cpu&, const double* partial, std::int64_t count, double clip_norm, Clipping* clipping) {
  double sum = 0;
  for (std::int64_t b = 0; b < count; ++b) sum += partial[b];
  *clipping = clip(sum, clip_norm);
}

}  // namespace gpumonth::ops
