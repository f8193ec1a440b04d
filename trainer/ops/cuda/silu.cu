#include "trainer/ops/cuda/vectorized.h"
#include "trainer/ops/math.h"
#include "trainer/ops/silu.h"

namespace gpumonth::ops {
namespace {

struct Forward {
  const float* x;
  float* y;
  template <int N>
  __device__ void operator()(std::int64_t i) const {
    float v[N];
    read(x + i, v);
#pragma unroll
    for (int j = 0; j < N; ++j) v[j] = silu(v[j]);
    write(y + i, v);
  }
};

struct Backward {
  const float *x, *dy;
  float* dx;
  template <int N>
  __device__ void operator()(std::int64_t i) const {
    float v[N], d[N];
    read(x + i, v);
    read(dy + i, d);
#pragma unroll
    for (int j = 0; j < N; ++j) d[j] *= silu_derivative(v[j]);
    write(dx + i, d);
  }
};

}  // namespace

void silu_forward(Cuda& cuda, std::int64_t n, const float* x, float* y) {
  elementwise<4>(cuda, n, aligned<4>(x, y), Forward{x, y});
}

void silu_backward(Cuda& cuda, std::int64_t n, const float* x, const float* dy, float* dx) {
  elementwise<4>(cuda, n, aligned<4>(x, dy, dx), Backward{x, dy, dx});
}

}  // namespace gpumonth::ops
