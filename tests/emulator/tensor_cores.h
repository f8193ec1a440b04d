// In the place of trainer/ops/cuda/tensor_cores.h, which says what each does: the lanes of a warp come together, and the
// last one works for all.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "tests/emulator/kernel.h"
#include "trainer/ops/bf16.h"

namespace gpumonth::ops::tensor_cores {

struct SharedRow {
  const bf16* at;
  explicit SharedRow(const bf16* to) : at(to) {}
  SharedRow operator+(int elements) const { return SharedRow(at + elements); }
};

struct Product {
  float* c;
  std::uint32_t a[4], b[2];
};
struct MatrixLoad {
  std::uint32_t* r;
  const bf16* row;
};

/// The first or second bf16 of a register.
inline float half_of(std::uint32_t packed, unsigned which) {
  return to_float(bf16{static_cast<std::uint16_t>(packed >> 16 * which)});
}

/// A lane's `depth` / 8 registers of b and twice as many of a, as matrices.
template <unsigned kDepth>
void multiply_for_all(void* const* lanes) {
  float a[16][kDepth], b[kDepth][8];
  for (unsigned lane = 0; lane < 32; ++lane) {
    const Product& p = *static_cast<const Product*>(lanes[lane]);
    const unsigned g = lane / 4, t = lane % 4;
    for (unsigned eight = 0; eight < kDepth / 8; ++eight)
      for (unsigned i = 0; i < 2; ++i) {
        a[g][8 * eight + 2 * t + i] = half_of(p.a[2 * eight], i);
        a[g + 8][8 * eight + 2 * t + i] = half_of(p.a[2 * eight + 1], i);
        b[8 * eight + 2 * t + i][g] = half_of(p.b[eight], i);
      }
  }
  for (unsigned lane = 0; lane < 32; ++lane)
    for (unsigned i = 0; i < 4; ++i) {
      const unsigned row = lane / 4 + i / 2 * 8, column = lane % 4 * 2 + i % 2;
      float& sum = static_cast<const Product*>(lanes[lane])->c[i];
      for (unsigned k = 0; k < kDepth; ++k) sum += a[row][k] * b[k][column];
    }
}

inline void multiply_add(float (&c)[4], std::uint32_t a0, std::uint32_t a1, std::uint32_t a2, std::uint32_t a3,
                         std::uint32_t b0, std::uint32_t b1) {
  Product mine{c, {a0, a1, a2, a3}, {b0, b1}};
  emulator::together_in_warp(&mine, multiply_for_all<16>);
}

inline void multiply_add(float (&c)[4], std::uint32_t a0, std::uint32_t a1, std::uint32_t b0) {
  Product mine{c, {a0, a1}, {b0}};
  emulator::together_in_warp(&mine, multiply_for_all<8>);
}

template <bool kTransposed>
void load_for_all(void* const* lanes) {
  const auto row = [&](unsigned lane) { return static_cast<const MatrixLoad*>(lanes[lane])->row; };
  for (unsigned lane = 0; lane < 32; ++lane) {
    if (reinterpret_cast<std::uintptr_t>(row(lane)) % 16 != 0) __builtin_trap();
    const unsigned g = lane / 4, t = lane % 4;
    for (unsigned matrix = 0; matrix < 4; ++matrix) {
      const bf16 *first, *second;
      if constexpr (kTransposed)
        first = row(8 * matrix + 2 * t) + g, second = row(8 * matrix + 2 * t + 1) + g;
      else
        first = row(8 * matrix + g) + 2 * t, second = first + 1;
      static_cast<const MatrixLoad*>(lanes[lane])->r[matrix] = first->bits | std::uint32_t{second->bits} << 16;
    }
  }
}

inline void load_matrices(std::uint32_t (&r)[4], SharedRow row) {
  MatrixLoad mine{r, row.at};
  emulator::together_in_warp(&mine, load_for_all<false>);
}

inline void load_matrices_transposed(std::uint32_t (&r)[4], SharedRow row) {
  MatrixLoad mine{r, row.at};
  emulator::together_in_warp(&mine, load_for_all<true>);
}

inline std::uint32_t pack(float first, float second) {
  return from_float<bf16>(first).bits | std::uint32_t{from_float<bf16>(second).bits} << 16;
}

inline float exp2_fast(float x) { return x < -126.0f ? 0.0f : std::exp2(x); }

inline void start_copy(bf16* shared, const bf16* global, bool inside) {
  emulator::begin_copy(shared, inside ? global : nullptr, 16);
}

inline void wait_for_copies() { emulator::make_copies(); }

}  // namespace gpumonth::ops::tensor_cores
