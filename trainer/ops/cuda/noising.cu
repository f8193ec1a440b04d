#include "trainer/ops/cuda/vectorized.h"
#include "trainer/ops/noising.h"
#include "trainer/ops/random.h"

namespace gpumonth::ops {
namespace {

/// One draw of four values a thread; `blocks` of them make a sample.
template <bool kVectors>
__global__ void __launch_bounds__(kBlockThreads)
    draw_kernel(std::uint64_t seed, std::uint32_t step, std::uint32_t first_sample, Purpose purpose, unsigned blocks,
                std::int64_t sample_size, float* noise) {
  const unsigned b = blockIdx.x / blocks, draw = blockIdx.x % blocks * kBlockThreads + threadIdx.x;
  const std::int64_t element = std::int64_t{draw} * 4;
  if (element >= sample_size) return;
  float values[4];
  ops::normal4(ops::philox(seed, step, first_sample + b, purpose, draw), values);
  float* out = noise + b * sample_size + element;
  if constexpr (kVectors) {
    write(out, values);
  } else {
    for (int j = 0; j < 4; ++j)
      if (element + j < sample_size) out[j] = values[j];
  }
}

/// One draw of four values a thread, of which those inside the part are written; `blocks` of them make a channel's run.
__global__ void __launch_bounds__(kBlockThreads)
    draw_part_kernel(std::uint64_t seed, std::uint32_t step, std::uint32_t first_sample, unsigned blocks,
                     NoisePart part, float* noise) {
  const unsigned row = blockIdx.x / blocks, channels = static_cast<unsigned>(part.channels);
  const std::int64_t first = std::int64_t{row % channels} * part.plane + part.first;  // within the sample
  const unsigned draw = static_cast<unsigned>(first / 4) + blockIdx.x % blocks * kBlockThreads + threadIdx.x;
  const std::int64_t at = std::int64_t{draw} * 4 - first;  // within the run; the first draw may begin before it
  if (at >= part.count) return;
  float values[4];
  ops::normal4(ops::philox(seed, step, first_sample + row / channels, Purpose::noise, draw), values);
  float* out = noise + row * part.count;
  for (int j = 0; j < 4; ++j)
    if (at + j >= 0 && at + j < part.count) out[at + j] = values[j];
}

template <int N>
__global__ void __launch_bounds__(kBlockThreads)
    add_noise_kernel(const float* __restrict__ x_0, const float* __restrict__ noise, const std::int32_t* __restrict__ t,
                     const ops::StepCoefficients* __restrict__ table, unsigned blocks, std::int64_t sample_size,
                     float* __restrict__ x_t) {
  const unsigned b = blockIdx.x / blocks;
  const std::int64_t in_sample = (std::int64_t{blockIdx.x % blocks} * kBlockThreads + threadIdx.x) * N;
  if (in_sample >= sample_size) return;
  const std::int64_t i = b * sample_size + in_sample;
  float x[N], e[N];
  read(x_0 + i, x);
  read(noise + i, e);
  const float signal_scale = table[t[b]].signal, noise_scale = table[t[b]].noise;
#pragma unroll
  for (int j = 0; j < N; ++j) x[j] = signal_scale * x[j] + noise_scale * e[j];
  write(x_t + i, x);
}

}  // namespace

void draw_noise(Cuda& cuda, std::uint64_t seed, std::uint32_t step, std::uint32_t first_sample, std::int64_t batch,
                std::int64_t sample_size, float* noise, Purpose purpose) {
  if (batch * sample_size <= 0) return;
  const unsigned blocks = blocks_for(sample_size, 4 * kBlockThreads), grid = static_cast<unsigned>(batch) * blocks;
  const bool vectors = sample_size % 4 == 0 && aligned<4>(noise);
  const auto kernel = vectors ? draw_kernel<true> : draw_kernel<false>;
  kernel<<<grid, kBlockThreads, 0, stream_of(cuda)>>>(seed, step, first_sample, purpose, blocks, sample_size, noise);
  GPUMONTH_CUDA_LAUNCHED();
}

void draw_noise_part(Cuda& cuda, std::uint64_t seed, std::uint32_t step, std::uint32_t first_sample, std::int64_t batch,
                     const NoisePart& part, float* noise) {
  const std::int64_t rows = batch * part.channels;
  if (rows * part.count <= 0) return;
  const unsigned blocks = blocks_for(part.count + 3, 4 * kBlockThreads);  // with what lies before the first value
  draw_part_kernel<<<static_cast<unsigned>(rows) * blocks, kBlockThreads, 0, stream_of(cuda)>>>(
      seed, step, first_sample, blocks, part, noise);
  GPUMONTH_CUDA_LAUNCHED();
}

void add_noise(Cuda& cuda, const float* x_0, const float* noise, const std::int32_t* t,
               const ops::StepCoefficients* table, std::int64_t batch, std::int64_t sample_size, float* x_t) {
  if (batch * sample_size <= 0) return;
  const bool vectors = sample_size % 4 == 0 && aligned<4>(x_0, noise, x_t);
  const unsigned blocks = blocks_for(sample_size, (vectors ? 4 : 1) * kBlockThreads);
  const auto kernel = vectors ? add_noise_kernel<4> : add_noise_kernel<1>;
  kernel<<<static_cast<unsigned>(batch) * blocks, kBlockThreads, 0, stream_of(cuda)>>>(x_0, noise, t, table, blocks,
                                                                                       sample_size, x_t);
  GPUMONTH_CUDA_LAUNCHED();
}

}  // namespace gpumonth::ops
