#include "trainer/ops/silu.h"

#include "trainer/ops/cpu/parallel.h"
#include "trainer/ops/math.h"

namespace gpumonth::ops {

template <>
void silu_forward(Cpu& cpu, std::int64_t n, const float* x, float* y) {
  parallel_for(cpu, n, 4096, [&](std::int64_t begin, std::int64_t end) {
#pragma omp simd
    for (std::int64_t i = begin; i < end; ++i) y[i] = silu(x[i]);
  });
}

template <>
void silu_backward(Cpu& cpu, std::int64_t n, const float* x, const float* dy, float* dx) {
  parallel_for(cpu, n, 4096, [&](std::int64_t begin, std::int64_t end) {
#pragma omp simd
    for (std::int64_t i = begin; i < end; ++i) dx[i] = dy[i] * silu_derivative(x[i]);
  });
}

template <>
void add_broadcast(Cpu& cpu, std::int64_t batch, std::int64_t n, const float* positions, float* x) {
  parallel_for(cpu, batch, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t b = begin; b < end; ++b)
#pragma omp simd
      for (std::int64_t i = 0; i < n; ++i) x[b * n + i] += positions[i];
  });
}

}  // namespace gpumonth::ops
