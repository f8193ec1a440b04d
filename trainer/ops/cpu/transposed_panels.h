// The transpose of a dense fp32 matrix, in panels as fp32_tile.h reads its right operand.
#pragma once

#include "trainer/ops/cpu/fp32_tile.h"

namespace gpumonth::ops {

/// 16 x 16 in registers: blocks of 8, 4, 2, 1 elements change places across the diagonal in turn.
inline void transpose_16x16(const float* from, std::int64_t from_row, float* to, std::int64_t to_row) {
  using Lanes = std::int32_t __attribute__((vector_size(64)));
  constexpr int kSide = 16;
  FloatVector a[kSide];
#pragma GCC unroll 16
  for (int i = 0; i < kSide; ++i) a[i] = *reinterpret_cast<const FloatVector*>(from + i * from_row);
#pragma GCC unroll 4
  for (int distance = 8; distance > 0; distance /= 2) {
    Lanes low, high;  // lane i of the two results: of the first operand (0-15) or the second (16-31)
#pragma GCC unroll 16
    for (int i = 0; i < kSide; ++i) {
      low[i] = i & distance ? kSide + i - distance : i;
      high[i] = i & distance ? kSide + i : i + distance;
    }
#pragma GCC unroll 16
    for (int i = 0; i < kSide; ++i)
      if (!(i & distance)) {
        const FloatVector first = a[i], second = a[i + distance];
        a[i] = __builtin_shuffle(first, second, low);
        a[i + distance] = __builtin_shuffle(first, second, high);
      }
  }
#pragma GCC unroll 16
  for (int i = 0; i < kSide; ++i) *reinterpret_cast<FloatVector*>(to + i * to_row) = a[i];
}

/// Of `from` (rows, columns), both multiples of 16: for every panel of up to four vectors of rows, (columns, width),
/// one panel after the other.
inline void transposed_panels(std::int64_t rows, std::int64_t columns, const float* from, std::int64_t from_row,
                              float* to) {
  for (std::int64_t r = 0; r < rows;) {
    const std::int64_t width = panel_vectors((rows - r) / kLanes) * kLanes;
    for (std::int64_t v = 0; v < width; v += kLanes)
      for (std::int64_t c = 0; c < columns; c += kLanes)
        transpose_16x16(from + (r + v) * from_row + c, from_row, to + c * width + v, width);
    to += width * columns;
    r += width;
  }
}

}  // namespace gpumonth::ops
