// Rows of a matrix of rows change places: what is packed for an all-to-all, and unpacked behind it. Of tokens with all heads
// (B T / s n, s, w) -> (s, B T / s n, w) puts the heads of each rank together, of (B, s, m) -> (s, B, m) the tokens.
#pragma once

#include <cstdint>

#include "trainer/ops/bf16.h"
#include "trainer/ops/device.h"

namespace gpumonth::ops {

/// out (b, a, w) from in (a, b, w): out[j][i][:] = in[i][j][:]. They do not overlap. T = float or bf16.
template <class T>
void swap_axes(Cpu& cpu, std::int64_t a, std::int64_t b, std::int64_t w, const T* in, T* out);
template <class T>
void swap_axes(Cuda& cuda, std::int64_t a, std::int64_t b, std::int64_t w, const T* in, T* out);

}  // namespace gpumonth::ops
