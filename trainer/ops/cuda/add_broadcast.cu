#include "trainer/ops/add_broadcast.h"
#include "trainer/ops/cuda/vectorized.h"

namespace gpumonth::ops {
namespace {

constexpr int kSamples = 4;  // that share one read of the positions

template <int N>
__global__ void __launch_bounds__(kBlockThreads) add_broadcast_kernel(unsigned blocks, unsigned batch, std::int64_t n,
                                                                      const float* __restrict__ positions, float* x) {
  const std::int64_t i = (std::int64_t{blockIdx.x % blocks} * kBlockThreads + threadIdx.x) * N;
  if (i >= n) return;
  const unsigned first = blockIdx.x / blocks * kSamples;
  float position[N], v[kSamples][N];
  read(positions + i, position);
#pragma unroll
  for (unsigned s = 0; s < kSamples; ++s)
    if (first + s < batch) read(x + (first + s) * n + i, v[s]);
#pragma unroll
  for (unsigned s = 0; s < kSamples; ++s) {
    if (first + s >= batch) break;
#pragma unroll
    for (int j = 0; j < N; ++j) v[s][j] += position[j];
    write(x + (first + s) * n + i, v[s]);
  }
}

}  // namespace

void add_broadcast(Cuda& cuda, std::int64_t batch, std::int64_t n, const float* positions, float* x) {
  if (batch * n <= 0) return;
  const bool vectors = n % 4 == 0 && aligned<4>(positions, x);
  const unsigned blocks = blocks_for(n, (vectors ? 4 : 1) * kBlockThreads);
  const auto kernel = vectors ? add_broadcast_kernel<4> : add_broadcast_kernel<1>;
  kernel<<<blocks * blocks_for(batch, kSamples), kBlockThreads, 0, stream_of(cuda)>>>(
      blocks, static_cast<unsigned>(batch), n, positions, x);
  GPUMONTH_CUDA_LAUNCHED();
}

}  // namespace gpumonth::ops
