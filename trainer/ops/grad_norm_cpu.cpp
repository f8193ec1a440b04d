#include <algorithm>

#include "trainer/ops/grad_norm.h"
#include "trainer/ops/parallel_cpu.h"

namespace gpumonth::ops {
namespace {

double block_sum(const float* values, std::int64_t n) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < n; ++i) sum += static_cast<double>(values[i]) * static_cast<double>(values[i]);
  return sum;
}

}  // namespace

template <class Device>
void sum_of_squares(Device& device, const float* values, std::int64_t n, double* scratch, double* sum) {
  parallel_for(device, n, kNormBlock, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; i += kNormBlock) {
      scratch[i / kNormBlock] = block_sum(values + i, std::min(kNormBlock, end - i));
    }
  });
  double total = 0;
  for (std::int64_t b = 0; b < sum_of_squares_scratch(n); ++b) total += scratch[b];
  *sum = total;
}

template void sum_of_squares(Cpu&, const float*, std::int64_t, double*, double*);

double clip_scale(double norm, double clip_norm) {
  return clip_norm > 0 ? std::min(1.0, clip_norm / (norm + 1e-6)) : 1.0;
}

}  // namespace gpumonth::ops
