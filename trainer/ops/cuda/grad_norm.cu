#include "trainer/ops/cuda/vectorized.h"
#include "trainer/ops/grad_norm.h"

namespace gpumonth::ops {
namespace {

constexpr int kThreads = 512;  // of one block of squares
constexpr int kClippingThreads = 1024;

/// One kNormBlock per block. The order of the sums depends on the position in the block alone.
template <int N>
__global__ void __launch_bounds__(kThreads)
    squares_kernel(const float* __restrict__ values, std::int64_t n, std::int64_t first, double* partial) {
  __shared__ double shared[kThreads / 32];
  const std::int64_t begin = (first + blockIdx.x) * kNormBlock;
  const float* block = values + begin;
  const std::int64_t left = n > begin ? n - begin : 0;
  const int count = static_cast<int>(left < kNormBlock ? left : kNormBlock);
  double sums[N] = {};
  const auto add = [&sums](const float(&v)[N]) {
#pragma unroll
    for (int j = 0; j < N; ++j) sums[j] += static_cast<double>(v[j]) * static_cast<double>(v[j]);
  };
  const int whole = count / (kThreads * N) * (kThreads * N);
#pragma unroll 8
  for (int i = 0; i < whole; i += kThreads * N) {
    float v[N];
    read(block + i + static_cast<int>(threadIdx.x) * N, v);
    add(v);
  }
  const int rest = whole + static_cast<int>(threadIdx.x) * N;
  if (rest < count) {
    float v[N];
#pragma unroll
    for (int j = 0; j < N; ++j) v[j] = rest + j < count ? block[rest + j] : 0.0f;
    add(v);
  }
  double sum = 0;
#pragma unroll
  for (int j = 0; j < N; ++j) sum += sums[j];
  sum = block_sum(sum, shared);
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

/// Thread i adds partial sums i, i + 1024, ... in order: a chain of 300,000 additions on one thread would
/// take longer than 1 ms for a model of 20 billion parameters.
__global__ void __launch_bounds__(kClippingThreads)
    clipping_kernel(const double* __restrict__ partial, std::int64_t count, double clip_norm, Clipping* clipping) {
  __shared__ double shared[kClippingThreads / 32];
  double sum = 0;
#pragma unroll 4
  for (std::int64_t i = threadIdx.x; i < count; i += kClippingThreads) sum += partial[i];
  sum = block_sum(sum, shared);
  if (threadIdx.x == 0) *clipping = clip(sum, clip_norm);
}

}  // namespace

void squares_by_block(Cuda& cuda, const float* values, std::int64_t n, std::int64_t first, std::int64_t last,
                      double* partial) {
  if (first >= last) return;
  const auto blocks = static_cast<unsigned>(last - first);
  if (aligned<4>(values)) {
    squares_kernel<4><<<blocks, kThreads, 0, stream_of(cuda)>>>(values, n, first, partial);
  } else {
    squares_kernel<1><<<blocks, kThreads, 0, stream_of(cuda)>>>(values, n, first, partial);
  }
  GPUMONTH_CUDA_LAUNCHED();
}

void clipping(Cuda& cuda, const double* partial, std::int64_t count, double clip_norm, Clipping* clipping) {
  clipping_kernel<<<1, kClippingThreads, 0, stream_of(cuda)>>>(partial, count, clip_norm, clipping);
  GPUMONTH_CUDA_LAUNCHED();
}

}  // namespace gpumonth::ops
