#include "trainer/ops/cpu/transpose.h"

#include "trainer/ops/cpu/parallel.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace gpumonth::ops {
namespace {

constexpr std::int64_t kTile = 32;  // a row of a tile is one cache line

void transpose_scalar(std::int64_t rows, std::int64_t columns, const bf16* from, std::int64_t from_stride, bf16* to,
                      std::int64_t to_stride) {
  for (std::int64_t c = 0; c < columns; ++c)
    for (std::int64_t r = 0; r < rows; ++r) to[c * to_stride + r] = from[r * from_stride + c];
}

#ifdef __SSE2__
/// 8 x 8 in registers: pairs of 16, 32, 64 bits are interleaved in turn.
void transpose_8x8(const bf16* from, std::int64_t from_stride, bf16* to, std::int64_t to_stride) {
  __m128i a[8], b[8];
  for (int i = 0; i < 8; ++i) a[i] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i * from_stride));
  for (int i = 0; i < 4; ++i) {
    b[2 * i] = _mm_unpacklo_epi16(a[2 * i], a[2 * i + 1]);
    b[2 * i + 1] = _mm_unpackhi_epi16(a[2 * i], a[2 * i + 1]);
  }
  for (int half = 0; half < 2; ++half)
    for (int i = 0; i < 2; ++i) {
      a[4 * half + 2 * i] = _mm_unpacklo_epi32(b[4 * half + i], b[4 * half + i + 2]);
      a[4 * half + 2 * i + 1] = _mm_unpackhi_epi32(b[4 * half + i], b[4 * half + i + 2]);
    }
  for (int i = 0; i < 4; ++i) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + 2 * i * to_stride), _mm_unpacklo_epi64(a[i], a[i + 4]));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + (2 * i + 1) * to_stride), _mm_unpackhi_epi64(a[i], a[i + 4]));
  }
}
#else
void transpose_8x8(const bf16* from, std::int64_t from_stride, bf16* to, std::int64_t to_stride) {
  transpose_scalar(8, 8, from, from_stride, to, to_stride);
}
#endif

/// Column by column of 8x8 blocks, so that only eight lines of `to`, often 4 KiB apart, are open at a time.
void transpose_tile(const bf16* from, std::int64_t from_stride, bf16* to, std::int64_t to_stride) {
  for (std::int64_t c = 0; c < kTile; c += 8)
    for (std::int64_t r = 0; r < kTile; r += 8)
      transpose_8x8(from + r * from_stride + c, from_stride, to + c * to_stride + r, to_stride);
}

}  // namespace

void transpose(const Cpu& cpu, std::int64_t rows, std::int64_t columns, const bf16* from, bf16* to) {
  parallel_for(cpu, rows, kTile, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; r += kTile)
      for (std::int64_t c = 0; c < columns; c += kTile) {
        const bf16* in = from + r * columns + c;
        bf16* out = to + c * rows + r;
        if (r + kTile <= end && c + kTile <= columns) {
          transpose_tile(in, columns, out, rows);
        } else {
          transpose_scalar(std::min(kTile, end - r), std::min(kTile, columns - c), in, columns, out, rows);
        }
      }
  });
}

}  // namespace gpumonth::ops
