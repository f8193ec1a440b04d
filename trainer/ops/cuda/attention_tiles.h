// Products of tiles in shared memory, for the plain attention kernels.
//
// A block has 16 x 16 threads and works on tiles of kTile rows. Of a (kTile, kTile) product, thread (x, y)
// holds rows y + 16 i and columns x + 16 j; of a (kTile, kWidth) one, rows y + 16 i and columns x + 16 u.
// kWidth is head_dim rounded up; what lies beyond head_dim and beyond the last token is zero in shared memory.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

#include "trainer/ops/attention.h"
#include "trainer/ops/bf16.h"

namespace gpumonth::ops::attention {

constexpr int kSide = 16, kThreads = kSide * kSide;

template <int kWidth, int kTile>
struct Tiles {
  static constexpr int kRows = kTile / kSide;      // of a thread
  static constexpr int kColumns = kWidth / kSide;  // of a thread, in a (kTile, kWidth) product
  // Rows of shared memory are 4 floats longer than they must be: then 16-byte reads of 8 rows meet no bank twice.
  static constexpr int kStride = kWidth + 4, kWeightStride = kTile + 4;
  static constexpr int kTileFloats = kTile * kStride, kWeightFloats = kTile * kWeightStride;
  static constexpr std::size_t bytes(int tiles) { return (tiles * kTileFloats + kWeightFloats) * sizeof(float); }
  static_assert(kTile % kSide == 0 && kWidth % kSide == 0);
};

/// Rows [first, first + kTile) of a (tokens, head_dim) matrix whose rows lie `stride` elements apart.
template <int kWidth, int kTile, class T>
__device__ void load_tile(const T* source, std::int64_t stride, std::int64_t first, const AttentionShape& shape,
                          float* tile) {
  for (int i = static_cast<int>(threadIdx.x); i < kTile * kWidth; i += kThreads) {
    const int row = i / kWidth, column = i % kWidth;
    const bool inside = first + row < shape.tokens && column < shape.head_dim;
    tile[row * Tiles<kWidth, kTile>::kStride + column] =
        inside ? to_float(source[(first + row) * stride + column]) : 0.0f;
  }
}

/// s[i][j] = sum_k a[y + 16 i][k] b[x + 16 j][k]
template <int kWidth, int kTile>
__device__ void product_transposed(const float* a, const float* b, float (&s)[kTile / kSide][kTile / kSide]) {
  using L = Tiles<kWidth, kTile>;
  const int x = static_cast<int>(threadIdx.x) % kSide, y = static_cast<int>(threadIdx.x) / kSide;
#pragma unroll
  for (int i = 0; i < L::kRows; ++i)
#pragma unroll
    for (int j = 0; j < L::kRows; ++j) s[i][j] = 0.0f;
#pragma unroll 4
  for (int k = 0; k < kWidth; k += 4) {
    float4 left[L::kRows], right[L::kRows];
#pragma unroll
    for (int i = 0; i < L::kRows; ++i) {
      left[i] = *reinterpret_cast<const float4*>(a + (y + kSide * i) * L::kStride + k);
      right[i] = *reinterpret_cast<const float4*>(b + (x + kSide * i) * L::kStride + k);
    }
#pragma unroll
    for (int i = 0; i < L::kRows; ++i)
#pragma unroll
      for (int j = 0; j < L::kRows; ++j)
        s[i][j] += left[i].x * right[j].x + left[i].y * right[j].y + left[i].z * right[j].z + left[i].w * right[j].w;
  }
}

/// sum[i][u] += sum_k weights[y + 16 i][k] b[k][x + 16 u]
template <int kWidth, int kTile>
__device__ void add_product(const float* weights, const float* b, float (&sum)[kTile / kSide][kWidth / kSide]) {
  using L = Tiles<kWidth, kTile>;
  const int x = static_cast<int>(threadIdx.x) % kSide, y = static_cast<int>(threadIdx.x) / kSide;
#pragma unroll 1
  for (int k = 0; k < kTile; k += 4) {
    float left[L::kRows][4];
#pragma unroll
    for (int i = 0; i < L::kRows; ++i) {
      const float4 w = *reinterpret_cast<const float4*>(weights + (y + kSide * i) * L::kWeightStride + k);
      left[i][0] = w.x, left[i][1] = w.y, left[i][2] = w.z, left[i][3] = w.w;
    }
#pragma unroll
    for (int kk = 0; kk < 4; ++kk)
#pragma unroll
      for (int u = 0; u < L::kColumns; ++u) {
        const float right = b[(k + kk) * L::kStride + x + kSide * u];
#pragma unroll
        for (int i = 0; i < L::kRows; ++i) sum[i][u] += left[i][kk] * right;
      }
  }
}

/// weights[y + 16 i][x + 16 j] = s[i][j]
template <int kWidth, int kTile>
__device__ void store_weights(const float (&s)[kTile / kSide][kTile / kSide], float* weights) {
  using L = Tiles<kWidth, kTile>;
  const int x = static_cast<int>(threadIdx.x) % kSide, y = static_cast<int>(threadIdx.x) / kSide;
#pragma unroll
  for (int i = 0; i < L::kRows; ++i)
#pragma unroll
    for (int j = 0; j < L::kRows; ++j) weights[(y + kSide * i) * L::kWeightStride + x + kSide * j] = s[i][j];
}

/// Of the 16 threads with the same y. Every thread of the block takes part.
__device__ inline float sum_of_row(float v) {
  for (int step = kSide / 2; step > 0; step /= 2) v += __shfl_xor_sync(0xffffffffu, v, step);
  return v;
}
__device__ inline float max_of_row(float v) {
  for (int step = kSide / 2; step > 0; step /= 2) v = fmaxf(v, __shfl_xor_sync(0xffffffffu, v, step));
  return v;
}

/// Where a block's head begins. blockIdx: (tile, head, sample).
struct Head {
  std::int64_t width, qkv, out, row;  // H d; in qkv (Q's), in out, in log_sum_exp
  __device__ explicit Head(const AttentionShape& s) : width(s.heads * s.head_dim) {
    const std::int64_t sample = blockIdx.z, head = blockIdx.y;
    qkv = sample * s.tokens * 3 * width + head * s.head_dim;
    out = sample * s.tokens * width + head * s.head_dim;
    row = (sample * s.heads + head) * s.tokens;
  }
};

__device__ inline float score_scale(const AttentionShape& s) { return 1.0f / sqrtf(static_cast<float>(s.head_dim)); }

template <class T, int kWidth, int kTile>
__device__ void store_rows(const float (&values)[kTile / kSide][kWidth / kSide], const AttentionShape& shape,
                           std::int64_t first, std::int64_t stride, T* target) {
  const int x = static_cast<int>(threadIdx.x) % kSide, y = static_cast<int>(threadIdx.x) / kSide;
#pragma unroll
  for (int i = 0; i < kTile / kSide; ++i) {
    const std::int64_t row = first + y + kSide * i;
#pragma unroll
    for (int u = 0; u < kWidth / kSide; ++u) {
      const int column = x + kSide * u;
      if (row < shape.tokens && column < shape.head_dim) target[row * stride + column] = from_float<T>(values[i][u]);
    }
  }
}

}  // namespace gpumonth::ops::attention
