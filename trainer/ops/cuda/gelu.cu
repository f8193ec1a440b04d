#include "trainer/ops/cuda/reduce_columns.h"
#include "trainer/ops/gelu.h"
#include "trainer/ops/math.h"

namespace gpumonth::ops {
namespace {

/// math.h's function and slope for fp32. For bf16, which rounds a result by up to 4e-3, by fast exponential and division:
/// within 4e-6 for |u| < 4 and 3e-5 beyond. With exact divisions the passes wait for arithmetic, not for memory, and a
/// zero dividend or a huge divisor sends a whole warp down the division's slow path.
template <class T>
__device__ __forceinline__ float value(float u) {
  if constexpr (std::is_same_v<T, float>) {
    return gelu_tanh(u);
  } else {
    return __fdividef(u, 1.0f + __expf(-kGeluSlope * u * (1.0f + kGeluCubic * u * u)));
  }
}
template <class T>
__device__ __forceinline__ float slope(float u) {
  if constexpr (std::is_same_v<T, float>) {
    return gelu_tanh_derivative(u);
  } else {
    const float s = __fdividef(1.0f, 1.0f + __expf(-kGeluSlope * u * (1.0f + kGeluCubic * u * u)));
    return s + u * s * (1.0f - s) * kGeluSlope * (1.0f + 3.0f * kGeluCubic * u * u);
  }
}

template <class T>
struct Forward {
  const T* u;
  T* y;
  template <int N>
  __device__ void operator()(std::int64_t i) const {
    float v[N];
    read(u + i, v);
#pragma unroll
    for (int j = 0; j < N; ++j) v[j] = value<T>(v[j]);
    write(y + i, v);
  }
};

/// du in place of dy; what is summed is du before it is rounded.
template <class T>
struct Backward {
  const T* __restrict__ u;
  T* __restrict__ dy;
  std::int64_t columns;
  template <int N>
  __device__ void operator()(std::int64_t row, std::int64_t column, float (&du)[N]) const {
    const std::int64_t i = row * columns + column;
    float v[N];
    read(u + i, v);
    read(dy + i, du);
#pragma unroll
    for (int j = 0; j < N; ++j) du[j] *= slope<T>(v[j]);
    write(dy + i, du);
  }
};

}  // namespace

template <class T>
void gelu_forward(Cuda& cuda, std::int64_t n, const T* u, T* y) {
  elementwise<kVector<T>>(cuda, n, aligned<kVector<T>>(u, y), Forward<T>{u, y});
}

template <class T>
void gelu_backward(Cuda& cuda, std::int64_t rows, std::int64_t columns, const T* u, T* dy, float* dbias,
                   float* scratch) {
  constexpr int N = kVector<T>;
  const Backward<T> f{u, dy, columns};
  if (columns % N == 0 && aligned<N>(u, dy)) {
    column_sums<N>(cuda, rows, columns, f, dbias, scratch);
  } else {
    column_sums<1>(cuda, rows, columns, f, dbias, scratch);
  }
}

template void gelu_forward(Cuda&, std::int64_t, const float*, float*);
template void gelu_forward(Cuda&, std::int64_t, const bf16*, bf16*);
template void gelu_backward(Cuda&, std::int64_t, std::int64_t, const float*, float*, float*, float*);
template void gelu_backward(Cuda&, std::int64_t, std::int64_t, const bf16*, bf16*, float*, float*);

}  // namespace gpumonth::ops
