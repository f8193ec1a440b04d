#include "trainer/ops/cuda/vectorized.h"
#include "trainer/ops/embedding.h"

namespace gpumonth::ops {
namespace {

struct Timestep {
  const std::int32_t* t;
  std::int64_t width;
  float* embedding;
  template <int N>
  __device__ void operator()(std::int64_t i) const {
    constexpr double kMaxPeriod = 10000;
    const std::int64_t half = width / 2, b = i / half, k = i % half;
    const double angle = t[b] * pow(kMaxPeriod, -static_cast<double>(k) / static_cast<double>(half));
    embedding[b * width + k] = static_cast<float>(cos(angle));
    embedding[b * width + half + k] = static_cast<float>(sin(angle));
  }
};

/// `blocks` of them make a row.
template <int N>
__global__ void __launch_bounds__(kBlockThreads)
    label_kernel(const float* __restrict__ table, const std::int32_t* __restrict__ labels, const float* addend,
                 unsigned blocks, std::int64_t h, float* out) {
  const unsigned b = blockIdx.x / blocks;
  const std::int64_t i = (std::int64_t{blockIdx.x % blocks} * kBlockThreads + threadIdx.x) * N;
  if (i >= h) return;
  float row[N], add[N] = {};
  read(table + labels[b] * h + i, row);
  if (addend) read(addend + b * h + i, add);
#pragma unroll
  for (int j = 0; j < N; ++j) row[j] += add[j];
  write(out + b * h + i, row);
}

/// A row of the table gathers its samples in order: no two blocks write the same row.
template <int N>
__global__ void __launch_bounds__(kBlockThreads)
    label_backward_kernel(const float* __restrict__ d_out, const std::int32_t* __restrict__ labels, unsigned batch,
                          unsigned blocks, std::int64_t h, float* __restrict__ d_table) {
  const unsigned row = blockIdx.x / blocks;
  const std::int64_t i = (std::int64_t{blockIdx.x % blocks} * kBlockThreads + threadIdx.x) * N;
  if (i >= h) return;
  float sum[N] = {};
  for (unsigned b = 0; b < batch; ++b) {
    if (labels[b] != static_cast<std::int32_t>(row)) continue;
    float d[N];
    read(d_out + b * h + i, d);
#pragma unroll
    for (int j = 0; j < N; ++j) sum[j] += d[j];
  }
  write(d_table + row * h + i, sum);
}

}  // namespace

void timestep_embedding(Cuda& cuda, const std::int32_t* t, std::int64_t batch, std::int64_t width, float* embedding) {
  elementwise<1>(cuda, batch * (width / 2), true, Timestep{t, width, embedding});
}

void label_embedding(Cuda& cuda, const float* table, const std::int32_t* labels, const float* addend,
                     std::int64_t batch, std::int64_t h, float* out) {
  if (batch * h <= 0) return;
  const bool vectors = h % 4 == 0 && aligned<4>(table, addend, out);
  const unsigned blocks = blocks_for(h, (vectors ? 4 : 1) * kBlockThreads);
  const auto kernel = vectors ? label_kernel<4> : label_kernel<1>;
  kernel<<<static_cast<unsigned>(batch) * blocks, kBlockThreads, 0, stream_of(cuda)>>>(table, labels, addend, blocks, h,
                                                                                       out);
  GPUMONTH_CUDA_LAUNCHED();
}

void label_embedding_backward(Cuda& cuda, const float* d_out, const std::int32_t* labels, std::int64_t batch,
                              std::int64_t rows, std::int64_t h, float* d_table) {
  if (rows * h <= 0) return;
  const bool vectors = h % 4 == 0 && aligned<4>(d_out, d_table);
  const unsigned blocks = blocks_for(h, (vectors ? 4 : 1) * kBlockThreads);
  const auto kernel = vectors ? label_backward_kernel<4> : label_backward_kernel<1>;
  kernel<<<static_cast<unsigned>(rows) * blocks, kBlockThreads, 0, stream_of(cuda)>>>(
      d_out, labels, static_cast<unsigned>(batch), blocks, h, d_table);
  GPUMONTH_CUDA_LAUNCHED();
}

}  // namespace gpumonth::ops
