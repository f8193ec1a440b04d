// AdamW and the moving average of the weights in one pass over the flat fp32 buffers.
#pragma once

#include <cstdint>

#include "trainer/ops/device.h"
#include "trainer/ops/math.h"

namespace gpumonth::ops {

struct AdamWHyperparameters {
  double learning_rate = 1e-4, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weight_decay = 0;
  double ema_decay = 0.9999;
};

/// The constants of step `step` (the first is 1), in double until they are stored.
AdamWStep adamw_step(const AdamWHyperparameters& h, std::int64_t step);

/// parameters, exp_avg, exp_avg_sq, ema (n) fp32 are updated from gradients (n) fp32 x clipping->scale, all aligned to
/// 64 bytes; where clipping->finite is 0 nothing is written. `step` and `clipping` are device pointers, so that a
/// recorded step can be replayed. compute_weights (n) receives the new parameters in bf16; null: not wanted. Reads 20 and
/// writes 16 (18) bytes an element: bound by memory bandwidth.
void adamw(Cpu& cpu, const AdamWStep* step, const Clipping* clipping, std::int64_t n, const float* gradients,
           float* parameters, float* exp_avg, float* exp_avg_sq, float* ema, bf16* compute_weights);
void adamw(Cuda& cuda, const AdamWStep* step, const Clipping* clipping, std::int64_t n, const float* gradients,
           float* parameters, float* exp_avg, float* exp_avg_sq, float* ema, bf16* compute_weights);

}  // namespace gpumonth::ops
