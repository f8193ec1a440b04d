#include "trainer/ops/convert.h"

#include "trainer/ops/bf16.h"
#include "trainer/ops/parallel_cpu.h"

namespace gpumonth::ops {
namespace {

template <class T>
void convert_on_cpu(Cpu& cpu, std::int64_t n, const float* from, T* to) {
  parallel_for(cpu, n, 4096, [&](std::int64_t begin, std::int64_t end) {
#pragma omp simd
    for (std::int64_t i = begin; i < end; ++i) to[i] = from_float<T>(from[i]);
  });
}

}  // namespace

template <>
void convert(Cpu& cpu, std::int64_t n, const float* from, float* to) {
  convert_on_cpu(cpu, n, from, to);
}
template <>
void convert(Cpu& cpu, std::int64_t n, const float* from, bf16* to) {
  convert_on_cpu(cpu, n, from, to);
}

}  // namespace gpumonth::ops
