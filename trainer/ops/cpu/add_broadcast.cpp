#include "trainer/ops/add_broadcast.h"

#include "trainer/ops/cpu/parallel.h"

namespace gpumonth::ops {

void add_broadcast(Cpu& cpu, std::int64_t batch, std::int64_t n, const float* positions, float* x) {
  parallel_for(cpu, batch, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t b = begin; b < end; ++b)
#pragma omp simd
      for (std::int64_t i = 0; i < n; ++i) x[b * n + i] += positions[i];
  });
}

}  // namespace gpumonth::ops
