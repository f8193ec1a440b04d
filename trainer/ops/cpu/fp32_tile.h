// The inner loop of fp32 products written here: a tile of C in registers takes a column of A times a row of B for every k
// (Goto & van de Geijn, doi:10.1145/1356052.1356053). oneDNN 2.6 reaches half of this one's rate on the small products of
// attention. For AVX-512: 24 of its 32 registers hold the tile, and six rows by four vectors need the fewest loads.
// Every element's sum runs over k in order, by fused multiply-adds, whatever the tile: its bits do not depend on the cut.
#pragma once

#include <algorithm>
#include <cstdint>

namespace gpumonth::ops {

#ifdef __AVX512F__
constexpr bool kHasFp32Tile = true;
#else
constexpr bool kHasFp32Tile = false;  // oneDNN takes AVX-512 where the machine has it, whatever this was compiled for
#endif

using FloatVector = float __attribute__((vector_size(64), aligned(4), may_alias));
constexpr std::int64_t kLanes = 16, kTileRows = 6, kTileVectors = 4;

/// Where the elements of A lie: (r, k) at r * row + k * step from `at`.
struct LeftOperand {
  const float* at;
  std::int64_t row, step;
};

/// C (R, 16 V) = A (R, depth) B (depth, 16 V), or added to C. Elements between rows of B and of C.
template <int R, int V>
inline void fp32_tile(std::int64_t depth, const LeftOperand& left, const float* b, std::int64_t b_row, float* c,
                      std::int64_t c_row, bool add) {
  FloatVector sum[R][V];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) sum[r][v] = FloatVector{};
  const float* a = left.at;
  for (std::int64_t k = 0; k < depth; ++k, a += left.step, b += b_row) {
    FloatVector row[V];
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) row[v] = *reinterpret_cast<const FloatVector*>(b + v * kLanes);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const float factor = a[r * left.row];
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) sum[r][v] += factor * row[v];
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) {
      auto* to = reinterpret_cast<FloatVector*>(c + r * c_row + v * kLanes);
      *to = add ? *to + sum[r][v] : sum[r][v];
    }
}

/// The same for any number of rows.
template <int V>
inline void fp32_rows(std::int64_t rows, std::int64_t depth, LeftOperand a, const float* b, std::int64_t b_row,
                      float* c, std::int64_t c_row, bool add) {
  for (; rows >= kTileRows; rows -= kTileRows, a.at += kTileRows * a.row, c += kTileRows * c_row)
    fp32_tile<kTileRows, V>(depth, a, b, b_row, c, c_row, add);
  switch (rows) {
    case 5: return fp32_tile<5, V>(depth, a, b, b_row, c, c_row, add);
    case 4: return fp32_tile<4, V>(depth, a, b, b_row, c, c_row, add);
    case 3: return fp32_tile<3, V>(depth, a, b, b_row, c, c_row, add);
    case 2: return fp32_tile<2, V>(depth, a, b, b_row, c, c_row, add);
    case 1: return fp32_tile<1, V>(depth, a, b, b_row, c, c_row, add);
    default: return;
  }
}

/// The same for `vectors` = 1 to 4.
inline void fp32_panel(std::int64_t rows, std::int64_t vectors, std::int64_t depth, const LeftOperand& a,
                       const float* b, std::int64_t b_row, float* c, std::int64_t c_row, bool add) {
  switch (vectors) {
    case 4: return fp32_rows<4>(rows, depth, a, b, b_row, c, c_row, add);
    case 3: return fp32_rows<3>(rows, depth, a, b, b_row, c, c_row, add);
    case 2: return fp32_rows<2>(rows, depth, a, b, b_row, c, c_row, add);
    default: return fp32_rows<1>(rows, depth, a, b, b_row, c, c_row, add);
  }
}

/// Vectors of the next panel where `left` of them are left: as few panels as there can be, of even width.
inline std::int64_t panel_vectors(std::int64_t left) {
  const std::int64_t panels = (left + kTileVectors - 1) / kTileVectors;
  return (left + panels - 1) / panels;
}

}  // namespace gpumonth::ops
