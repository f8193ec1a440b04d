// One fused pass between two branches of a DiT block: gated residual, LayerNorm without affine, modulation.
//   x = x_in + gate * branch            (left out where there is no branch: the first block)
//   y = LN(x) * (1 + scale) + shift     LN over h, eps 1e-6
// gate, scale, shift are per sample: rows of the modulation matrix (B, modulation_stride) fp32.
#pragma once

#include <cstdint>

#include "trainer/ops/device.h"

namespace gpumonth::ops {

struct ResidualNormShape {
  std::int64_t batch = 0, tokens = 0, width = 0;  ///< B, T, h
  std::int64_t modulation_stride = 0;             ///< elements between two samples' modulation rows
};

/// Outputs must not overlap inputs, but for dx, which is both. T = float or bf16.
template <class T>
struct ResidualNormForward {
  const float* x_in;  ///< (B, T, h)
  const T* branch;    ///< (B, T, h) or null
  const float* gate;  ///< (B, .) rows of h; null without branch
  const float *scale, *shift;
  float* x_out;        ///< (B, T, h), kept for backward; unused without branch
  T* y;                ///< (B, T, h)
  float *mean, *rstd;  ///< (B, T), kept for backward
};

template <class T>
struct ResidualNormBackward {
  const T* dy;     ///< (B, T, h)
  float* dx;       ///< (B, T, h): gradient of x from the later residual on entry (ignored when first), total on exit
  bool first;      ///< nothing downstream has written dx yet
  const float* x;  ///< x of forward
  const float *mean, *rstd, *scale;
  float *dscale, *dshift;  ///< modulation gradient rows, overwritten
  // The branch; null where forward had none.
  const T* branch;
  const float* gate;
  T* dbranch;           ///< (B, T, h) = gate * dx
  float* dgate;         ///< modulation gradient row, overwritten
  float* dbranch_bias;  ///< (h) = column sums of dbranch: the bias gradient of the layer that made the branch
};

template <class T>
void residual_norm_forward(Cpu& cpu, const ResidualNormShape& shape, const ResidualNormForward<T>& a);
template <class T>
void residual_norm_forward(Cuda& cuda, const ResidualNormShape& shape, const ResidualNormForward<T>& a);

/// `scratch` holds residual_norm_scratch(shape) floats.
template <class T>
void residual_norm_backward(Cpu& cpu, const ResidualNormShape& shape, const ResidualNormBackward<T>& a, float* scratch);
template <class T>
void residual_norm_backward(Cuda& cuda, const ResidualNormShape& shape, const ResidualNormBackward<T>& a,
                            float* scratch);
std::int64_t residual_norm_scratch(const ResidualNormShape& shape);

}  // namespace gpumonth::ops
