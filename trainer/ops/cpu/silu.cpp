#include "trainer/ops/silu.h"

#include "trainer/ops/cpu/parallel.h"
#include "trainer/ops/math.h"

namespace gpumonth::ops {

void silu_forward(Cpu& cpu, std::int64_t n, const float* x, float* y) {
  parallel_for(cpu, n, 4096, [&](std::int64_t begin, std::int64_t end) {
#pragma omp simd
    for (std::int64_t i = begin; i < end; ++i) y[i] = silu(x[i]);
  });
}

void silu_backward(Cpu& cpu, std::int64_t n, const float* x, const float* dy, float* dx) {
  parallel_for(cpu, n, 4096, [&](std::int64_t begin, std::int64_t end) {
#pragma omp simd
    for (std::int64_t i = begin; i < end; ++i) dx[i] = dy[i] * silu_derivative(x[i]);
  });
}

}  // namespace gpumonth::ops
