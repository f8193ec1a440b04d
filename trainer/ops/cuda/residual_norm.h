// What the two files of residual_norm's CUDA kernels share. Only files of this folder include this.
#pragma once

#include <cstdint>
#include <string>

#include "trainer/ops/cuda/context.h"

namespace gpumonth::ops {

constexpr float kResidualNormEpsilon = 1e-6f;  ///< of the LayerNorm
/// Rows of a sample per partial sum, at least: what residual_norm_scratch counts.
constexpr std::int64_t kResidualNormChunk = 32;
constexpr std::int64_t kWidestResidualNorm = 12288;  ///< a row lies in the registers of one block

inline void check_width(std::int64_t width) {
  if (width <= kWidestResidualNorm) return;
  throw CudaError("residual_norm: width " + std::to_string(width) + ": the CUDA kernels take " +
                  std::to_string(kWidestResidualNorm) + " at most");
}

}  // namespace gpumonth::ops
