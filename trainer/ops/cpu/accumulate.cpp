#include "trainer/ops/accumulate.h"

#include "trainer/ops/cpu/parallel.h"

namespace gpumonth::ops {
namespace {

constexpr std::int64_t kGrain = 4096;

}  // namespace

void accumulate(Cpu& cpu, std::int64_t n, const float* values, float* sum) {
  parallel_for(cpu, n, kGrain, [&](std::int64_t begin, std::int64_t end) {
#pragma omp simd
    for (std::int64_t i = begin; i < end; ++i) sum[i] += values[i];
  });
}

}  // namespace gpumonth::ops
