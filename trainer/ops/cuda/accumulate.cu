#include "trainer/ops/accumulate.h"
#include "trainer/ops/cuda/vectorized.h"

namespace gpumonth::ops {
namespace {

struct Accumulate {
  const float* values;
  float* sum;
  template <int N>
  __device__ void operator()(std::int64_t i) const {
    float v[N], s[N];
    read(values + i, v);
    read(sum + i, s);
#pragma unroll
    for (int j = 0; j < N; ++j) s[j] += v[j];
    write(sum + i, s);
  }
};

}  // namespace

void accumulate(Cuda& cuda, std::int64_t n, const float* values, float* sum) {
  elementwise<4>(cuda, n, aligned<4>(values, sum), Accumulate{values, sum});
}

}  // namespace gpumonth::ops
