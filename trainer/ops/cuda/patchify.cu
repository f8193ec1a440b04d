#include "trainer/ops/cuda/vectorized.h"
#include "trainer/ops/patchify.h"

namespace gpumonth::ops {
namespace {

/// LatentShape in 32 bits: a division takes a fifth of the time. Indices count within one sample.
struct Shape {
  unsigned frames, height, width, temporal_patch, patch, plane, patch_volume;
};

Shape narrow_shape(const LatentShape& s) {
  const auto u = [](std::int64_t x) { return static_cast<unsigned>(x); };
  return {u(s.frames), u(s.height), u(s.width), u(s.temporal_patch), u(s.patch), u(s.plane()), u(s.patch_volume())};
}

/// N values of one patch a thread; `blocks` of them make a sample of `size` values, `values` a patch.
template <class T, int N>
__global__ void __launch_bounds__(kBlockThreads)
    patchify_kernel(const float* __restrict__ latents, Shape s, unsigned blocks, unsigned size, unsigned values,
                    T* __restrict__ patches) {
  const std::int64_t sample = std::int64_t{blockIdx.x / blocks} * size;
  const unsigned index = (blockIdx.x % blocks * kBlockThreads + threadIdx.x) * N;
  if (index >= size) return;
  const unsigned token = index / values;
  const unsigned x = token % (s.width / s.patch) * s.patch, row = token / (s.width / s.patch);
  const unsigned y = row % (s.height / s.patch) * s.patch, frame = row / (s.height / s.patch) * s.temporal_patch;
  unsigned i = index % values;  // in the order (channel, a, d, i)
  unsigned d = i / s.patch, a = d / s.patch, channel = a / s.temporal_patch;
  i %= s.patch, d %= s.patch, a %= s.temporal_patch;
  float v[N];
#pragma unroll
  for (int j = 0; j < N; ++j) {
    v[j] = latents[sample + channel * s.plane + ((frame + a) * s.height + y + d) * s.width + x + i];
    if (++i < s.patch) continue;
    i = 0;
    if (++d < s.patch) continue;
    d = 0;
    if (++a < s.temporal_patch) continue;
    a = 0;
    ++channel;
  }
  write(patches + sample + index, v);
}

/// One pixel of one channel a thread, in the order of the image.
__global__ void __launch_bounds__(kBlockThreads)
    unpatchify_kernel(const float* __restrict__ tokens, Shape s, unsigned blocks, unsigned size, unsigned channels,
                      float* __restrict__ images) {
  const std::int64_t sample = std::int64_t{blockIdx.x / blocks} * size;
  const unsigned index = blockIdx.x % blocks * kBlockThreads + threadIdx.x;
  if (index >= size) return;
  const unsigned x = index % s.width, line = index / s.width;
  const unsigned y = line % s.height, frame = line / s.height % s.frames, channel = line / s.height / s.frames;
  const unsigned row = frame / s.temporal_patch * (s.height / s.patch) + y / s.patch;
  const unsigned token = row * (s.width / s.patch) + x / s.patch;
  const unsigned pixel = (frame % s.temporal_patch * s.patch + y % s.patch) * s.patch + x % s.patch;
  images[sample + index] = tokens[sample + (token * s.patch_volume + pixel) * channels + channel];
}

}  // namespace

template <class T>
void patchify(Cuda& cuda, const float* latents, const LatentShape& s, std::int64_t batch, T* patches) {
  constexpr int N = kVector<T>;
  const std::int64_t values = s.channels * s.patch_volume(), size = s.channels * s.plane();
  if (batch * size <= 0) return;
  const bool vectors = values % N == 0 && aligned<N>(patches);
  const unsigned blocks = blocks_for(size, (vectors ? N : 1) * kBlockThreads);
  const auto kernel = vectors ? patchify_kernel<T, N> : patchify_kernel<T, 1>;
  kernel<<<static_cast<unsigned>(batch) * blocks, kBlockThreads, 0, stream_of(cuda)>>>(
      latents, narrow_shape(s), blocks, static_cast<unsigned>(size), static_cast<unsigned>(values), patches);
  GPUMONTH_CUDA_LAUNCHED();
}

template void patchify(Cuda&, const float*, const LatentShape&, std::int64_t, float*);
template void patchify(Cuda&, const float*, const LatentShape&, std::int64_t, bf16*);

void unpatchify(Cuda& cuda, const float* tokens, const LatentShape& s, std::int64_t batch, std::int64_t out_channels,
                float* images) {
  const std::int64_t size = out_channels * s.plane();
  if (batch * size <= 0) return;
  const unsigned blocks = blocks_for(size, kBlockThreads);
  unpatchify_kernel<<<static_cast<unsigned>(batch) * blocks, kBlockThreads, 0, stream_of(cuda)>>>(
      tokens, narrow_shape(s), blocks, static_cast<unsigned>(size), static_cast<unsigned>(out_channels), images);
  GPUMONTH_CUDA_LAUNCHED();
}

}  // namespace gpumonth::ops
