// Rows of the compute type as rows of fp32 and back. CPU ops read a row into fp32, compute in fp32, write it back:
// loops of one element width vectorise about three times better than loops that convert in their middle.
// For T = float nothing is copied.
#pragma once

#ifdef __AVX512BF16__
#include <immintrin.h>
#endif

#include <cstdint>

#include "trainer/ops/bf16.h"

namespace gpumonth::ops {

constexpr std::int64_t kFloatBlock = 512;  ///< elements of a conversion buffer: 2 KiB, stays in the L1 cache

inline void widen(std::int64_t n, const bf16* from, float* to) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) to[i] = to_float(from[i]);
}

/// Round to nearest even. The hardware instruction flushes subnormal results to zero.
inline void narrow(std::int64_t n, const float* from, bf16* to) {
  std::int64_t i = 0;
#ifdef __AVX512BF16__
  for (; i + 32 <= n; i += 32) {
    const __m512bh pair = _mm512_cvtne2ps_pbh(_mm512_loadu_ps(from + i + 16), _mm512_loadu_ps(from + i));
    _mm512_storeu_si512(to + i, __builtin_bit_cast(__m512i, pair));
  }
#endif
#pragma omp simd
  for (std::int64_t j = i; j < n; ++j) to[j] = from_float<bf16>(from[j]);
}

/// The n values at `row` in fp32: `row` itself, or `buffer` filled from it.
inline const float* read_row(std::int64_t, const float* row, float*) { return row; }
inline const float* read_row(std::int64_t n, const bf16* row, float* buffer) {
  widen(n, row, buffer);
  return buffer;
}

/// Where to compute n values that belong at `row`: `row` itself, or `buffer`; write_row() brings them home.
inline float* row_target(float* row, float*) { return row; }
inline float* row_target(bf16*, float* buffer) { return buffer; }
inline void write_row(std::int64_t, const float*, float*) {}
inline void write_row(std::int64_t n, const float* computed, bf16* row) { narrow(n, computed, row); }

}  // namespace gpumonth::ops
