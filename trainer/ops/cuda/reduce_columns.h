// Column sums in two stages, the same bits in every run on the same GPU: blocks sum chunks of rows, then one block per
// tile of columns sums the chunks' partial sums in a fixed order. Only files of this folder include this.
#pragma once

#include <cstdint>

#include "trainer/ops/cuda/vectorized.h"

namespace gpumonth::ops {

constexpr int kColumnWarps = 8;  ///< of a block; each adds every eighth row of the block's chunk

/// Rows of a chunk, where `tiles` blocks share one and `slots` blocks run at a time: as many as let all blocks end together,
/// after one turn or a few. column_sum_scratch() has room for chunks of 32.
inline std::int64_t column_chunk_rows(std::int64_t rows, std::int64_t tiles, std::int64_t slots) {
  constexpr std::int64_t kAlone = 256;  // as few need no second stage
  constexpr std::int64_t kLeast = 64, kMost = 512;
  if (rows <= kAlone) return rows;
  const std::int64_t turns = (rows * tiles + kMost * slots - 1) / (kMost * slots);
  const std::int64_t chunks = turns * slots / tiles > 1 ? turns * slots / tiles : 1;
  const std::int64_t chunk = (rows + chunks - 1) / chunks;
  return chunk > kLeast ? chunk : kLeast;
}

/// The block's sum over its warps, in order. True in the threads of warp 0, which hold it.
template <int N>
__device__ __forceinline__ bool add_warps(float (&sum)[N]) {
  __shared__ float shared[kColumnWarps][N][32];  // lanes side by side: no bank conflicts
  const unsigned warp = threadIdx.x / 32, lane = threadIdx.x % 32;
#pragma unroll
  for (int j = 0; j < N; ++j) shared[warp][j][lane] = sum[j];
  __syncthreads();
  if (warp > 0) return false;
#pragma unroll
  for (int w = 1; w < kColumnWarps; ++w)
#pragma unroll
    for (int j = 0; j < N; ++j) sum[j] += shared[w][j][lane];
  return true;
}

/// Block = (chunk, tile of 32 N columns). f.operator()<N>(row, column, values) yields the values to be summed.
template <int N, class F>
__global__ void __launch_bounds__(kColumnWarps * 32)
    column_sums_kernel(std::int64_t rows, std::int64_t columns, unsigned tiles, std::int64_t rows_per_chunk, F f,
                       float* __restrict__ out) {
  const std::int64_t chunk = blockIdx.x / tiles;
  const std::int64_t column = (std::int64_t{blockIdx.x % tiles} * 32 + threadIdx.x % 32) * N;
  const std::int64_t begin = chunk * rows_per_chunk;
  const std::int64_t end = begin + rows_per_chunk < rows ? begin + rows_per_chunk : rows;
  float sum[N] = {};
  if (column < columns) {
#pragma unroll 4
    for (std::int64_t row = begin + threadIdx.x / 32; row < end; row += kColumnWarps) {
      float values[N];
      f.template operator()<N>(row, column, values);
#pragma unroll
      for (int j = 0; j < N; ++j) sum[j] += values[j];
    }
  }
  if (!add_warps(sum) || column >= columns) return;
#pragma unroll
  for (int j = 0; j < N; ++j) out[chunk * columns + column + j] = sum[j];
}

/// Rows of a matrix, `stride` elements apart.
template <class T>
struct MatrixRows {
  const T* __restrict__ matrix;
  std::int64_t stride;
  template <int N>
  __device__ void operator()(std::int64_t row, std::int64_t column, float (&values)[N]) const {
    read(matrix + row * stride + column, values);
  }
};

/// sums (columns) = the column sums of what f yields for (rows, columns), in vectors of N; columns % N is 0.
/// `scratch` as for column_sum.
template <int N, class F>
void column_sums(Cuda& cuda, std::int64_t rows, std::int64_t columns, const F& f, float* sums, float* scratch) {
  if (columns <= 0) return;
  constexpr int kThreads = kColumnWarps * 32;
  const unsigned tiles = blocks_for(columns, 32 * N);
  const auto kernel = column_sums_kernel<N, F>;
  int resident = 1;  // blocks of a multiprocessor
  GPUMONTH_CUDA(cudaOccupancyMaxActiveBlocksPerMultiprocessor, &resident, kernel, kThreads, 0);
  const std::int64_t slots = std::int64_t{resident > 1 ? resident : 1} * cuda.context->multiprocessors;
  const std::int64_t chunk = column_chunk_rows(rows, tiles, slots);
  const std::int64_t chunks = rows > chunk ? (rows + chunk - 1) / chunk : 1;
  kernel<<<tiles* static_cast<unsigned>(chunks), kThreads, 0, stream_of(cuda)>>>(rows, columns, tiles, chunk, f,
                                                                                 chunks > 1 ? scratch : sums);
  GPUMONTH_CUDA_LAUNCHED();
  if (chunks == 1) return;
  // One column a thread: more blocks, and the chunks are few.
  const MatrixRows<float> partial{scratch, columns};
  const unsigned columns_tiles = blocks_for(columns, 32);
  column_sums_kernel<1>
      <<<columns_tiles, kThreads, 0, stream_of(cuda)>>>(chunks, columns, columns_tiles, chunks, partial, sums);
  GPUMONTH_CUDA_LAUNCHED();
}

}  // namespace gpumonth::ops
