// Products of tiles on tensor cores, for the whole-head attention kernels. A head's matrices lie in shared memory by rows
// (token, width); a warp multiplies 32 rows at a time.
//
// Operands come by ldmatrix, each lane pointing to 8 elements of a row, in two shapes: *blocks* of 16 x 16, whose registers
// are an operand as they are, and *slices*, 8 columns of 32 rows. A slice's registers 2m and 2m+1 are rows of the m-th 16 as
// a left operand; register n is the n-th 8 as a right one. Read transposed, registers 0, 1 have rows 0 to 15 as the sum's
// index, 2, 3 rows 16 to 31.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "trainer/ops/attention.h"
#include "trainer/ops/cuda/attention_tiles.h"
#include "trainer/ops/cuda/tensor_cores.h"

namespace gpumonth::ops::attention {

constexpr int kWarpLanes = 32, kBlockRows = 32;  // rows that a warp multiplies at a time

template <int kWidth>
struct Slices {
  static constexpr int kCount = kWidth / 8;
  /// Elements from row to row. An odd number of 16-byte pieces: then the 8 rows that are read at a time meet no bank twice.
  static constexpr int kRow = 8 * (kCount | 1);
  static_assert(kWidth % 8 == 0);
};

__host__ __device__ constexpr int round_up(int n, int step) { return (n + step - 1) / step * step; }

__device__ inline int lane_of_warp() { return static_cast<int>(threadIdx.x) % kWarpLanes; }

/// By a shuffle: so the compiler knows that it is the same in all lanes, and that they stay together.
__device__ inline int warp_of_block() {
  return __shfl_sync(0xffffffffu, static_cast<int>(threadIdx.x) / kWarpLanes, 0);
}

/// Of scores, 1 / sqrt(kWidth).
template <int kWidth>
constexpr float kScoreScale = 0;
template <>
constexpr float kScoreScale<64> = 0.125f;
template <>
constexpr float kScoreScale<72> = 0.117851130f;

/// Starts copies of rows [first, first + count) of a head's (tokens, kWidth) matrix, whose rows lie `stride` elements apart,
/// by all threads of the block; rows beyond the last token become zeros.
template <int kWidth, int kBlockThreads>
__device__ void start_rows(const bf16* source, int stride, int first, int count, int tokens, bf16* tile) {
  constexpr int kPieces = Slices<kWidth>::kCount;
#pragma unroll 1  // asynchronous as they are: unrolled, their addresses would only take registers
  for (int i = static_cast<int>(threadIdx.x); i < count * kPieces; i += kBlockThreads) {
    const int row = i / kPieces, column = i % kPieces * 8;
    const bool inside = first + row < tokens;
    tensor_cores::start_copy(tile + row * Slices<kWidth>::kRow + column,
                             source + (inside ? first + row : 0) * stride + column, inside);
  }
}

using Tile = float[2][4][4];                // (32, 32) fp32: [16 rows][8 columns][of the lane]
using PackedTile = std::uint32_t[2][2][4];  // the same in bf16, a left operand: [16 rows][16 columns][of the lane]
using tensor_cores::SharedRow;

/// Where a lane points for rows from `tile` on, as a left operand.
template <int kWidth>
struct LeftRows {
  static constexpr int kRow = Slices<kWidth>::kRow;
  SharedRow block, slice;
  __device__ explicit LeftRows(const bf16* tile)
      : block(tile + lane_of_warp() % 16 * kRow + lane_of_warp() / 16 * 8), slice(tile + lane_of_warp() * kRow) {}
};

/// Where a lane points for a block whose two halves of 8 rows are columns of the result, or, read transposed, of the sum.
__device__ inline int right_block(int row_elements) {
  return (lane_of_warp() / 16 * 8 + lane_of_warp() % 8) * row_elements + lane_of_warp() / 8 % 2 * 8;
}

/// As a right operand.
template <int kWidth>
struct RightRows {
  static constexpr int kRow = Slices<kWidth>::kRow;
  SharedRow block, slice;
  __device__ explicit RightRows(const bf16* tile)
      : block(tile + right_block(kRow)), slice(tile + lane_of_warp() * kRow) {}
  __device__ RightRows operator+(int rows) const {
    RightRows moved = *this;
    moved.block = block + rows * kRow;
    moved.slice = slice + rows * kRow;
    return moved;
  }
};

/// s += l r^T, 16 columns of both, from column `column` of r. left: [16 rows][of the lane].
template <int kWidth>
__device__ void add_block_product(Tile& s, const std::uint32_t (&left)[2][4], const RightRows<kWidth>& right,
                                  int column) {
#pragma unroll
  for (int n = 0; n < 4; n += 2) {
    std::uint32_t r[4];
    tensor_cores::load_matrices(r, right.block + (8 * n * Slices<kWidth>::kRow + column));
#pragma unroll
    for (int m = 0; m < 2; ++m) {
      const std::uint32_t(&l)[4] = left[m];
      tensor_cores::multiply_add(s[m][n], l[0], l[1], l[2], l[3], r[0], r[1]);
      tensor_cores::multiply_add(s[m][n + 1], l[0], l[1], l[2], l[3], r[2], r[3]);
    }
  }
}
/// The same, the last 8 columns.
template <int kWidth>
__device__ void add_slice_product(Tile& s, const std::uint32_t (&left)[4], const RightRows<kWidth>& right) {
  std::uint32_t r[4];
  tensor_cores::load_matrices(r, right.slice + (kWidth - 8));
#pragma unroll
  for (int n = 0; n < 4; ++n)
#pragma unroll
    for (int m = 0; m < 2; ++m) tensor_cores::multiply_add(s[m][n], left[2 * m], left[2 * m + 1], r[n]);
}

/// 32 rows in registers, as a left operand.
template <int kWidth>
struct LeftInRegisters {
  std::uint32_t blocks[kWidth / 16][2][4];  // [16 columns][16 rows][of the lane]
  std::uint32_t slice[4];                   // where 8 columns are left
};

/// s += l r^T over the width.
template <int kWidth>
__device__ void add_rows_product(Tile& s, const LeftInRegisters<kWidth>& left, const RightRows<kWidth>& right) {
#pragma unroll
  for (int i = 0; i < kWidth / 16; ++i) add_block_product(s, left.blocks[i], right, 16 * i);
  if constexpr (kWidth % 16 == 8) add_slice_product(s, left.slice, right);
}
template <int kWidth>
__device__ void add_rows_product(Tile& s, const LeftRows<kWidth>& left, const RightRows<kWidth>& right) {
#pragma unroll
  for (int i = 0; i < kWidth / 16; ++i) {
    std::uint32_t l[2][4];
#pragma unroll
    for (int m = 0; m < 2; ++m)
      tensor_cores::load_matrices(l[m], left.block + (16 * m * Slices<kWidth>::kRow + 16 * i));
    add_block_product(s, l, right, 16 * i);
  }
  if constexpr (kWidth % 16 == 8) {
    std::uint32_t l[4];
    tensor_cores::load_matrices(l, left.slice + (kWidth - 8));
    add_slice_product(s, l, right);
  }
}

/// A result becomes a left operand without leaving its lanes.
__device__ inline void pack_tile(const Tile& s, PackedTile& packed) {
#pragma unroll
  for (int m = 0; m < 2; ++m)
#pragma unroll
    for (int j = 0; j < 2; ++j)
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const float* pair = &s[m][2 * j + i / 2][i % 2 * 2];
        packed[m][j][i] = tensor_cores::pack(pair[0], pair[1]);
      }
}

/// sum (32, 8 kCount) += weights (32, 32) b, b's 32 rows in shared memory; `right` is their slice.
template <int kCount>
__device__ void add_weighted_rows(float (&sum)[2][kCount][4], const PackedTile& weights, SharedRow right) {
#pragma unroll
  for (int n = 0; n < kCount; ++n) {
    std::uint32_t r[4];
    tensor_cores::load_matrices_transposed(r, right + 8 * n);
#pragma unroll
    for (int j = 0; j < 2; ++j)
#pragma unroll
      for (int m = 0; m < 2; ++m) {
        const std::uint32_t(&w)[4] = weights[m][j];
        tensor_cores::multiply_add(sum[m][n], w[0], w[1], w[2], w[3], r[2 * j], r[2 * j + 1]);
      }
  }
}

/// Row [half] of a 16-row result: this lane's two columns of each 8, times `factor`, to a row of global memory.
template <int kCount>
__device__ void store_row(const float (&values)[kCount][4], int half, float factor, bf16* row) {
  const int column = lane_of_warp() % 4 * 2;
#pragma unroll
  for (int n = 0; n < kCount; ++n)
    *reinterpret_cast<std::uint32_t*>(row + 8 * n + column) =
        tensor_cores::pack(values[n][2 * half] * factor, values[n][2 * half + 1] * factor);
}

}  // namespace gpumonth::ops::attention
