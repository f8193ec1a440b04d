#include "trainer/ops/adamw.h"

#include <cmath>

#include "trainer/ops/cpu/convert.h"
#include "trainer/ops/cpu/parallel.h"

namespace gpumonth::ops {
namespace {

constexpr std::int64_t kGrain = 4096;  // elements: whole pages of every buffer to one thread

void update(const AdamWStep& step, float scale, std::int64_t begin, std::int64_t end, const float* __restrict gradients,
            float* __restrict parameters, float* __restrict exp_avg, float* __restrict exp_avg_sq,
            float* __restrict ema) {
  const AdamWStep s = step;
#pragma omp simd
  for (std::int64_t i = begin; i < end; ++i) {
    adamw_element(s, gradients[i] * scale, parameters + i, exp_avg + i, exp_avg_sq + i, ema + i);
  }
}

}  // namespace

AdamWStep adamw_step(const AdamWHyperparameters& h, std::int64_t step) {
  const double bias1 = 1 - std::pow(h.beta1, static_cast<double>(step));
  const double bias2 = 1 - std::pow(h.beta2, static_cast<double>(step));
  AdamWStep s;
  s.decay = static_cast<float>(1 - h.learning_rate * h.weight_decay);
  s.beta1 = static_cast<float>(h.beta1);
  s.beta2 = static_cast<float>(h.beta2);
  s.one_minus_beta1 = static_cast<float>(1 - h.beta1);
  s.one_minus_beta2 = static_cast<float>(1 - h.beta2);
  s.step_size = static_cast<float>(h.learning_rate / bias1);
  s.inverse_bias2 = static_cast<float>(1 / std::sqrt(bias2));
  s.epsilon = static_cast<float>(h.epsilon);
  s.ema_decay = static_cast<float>(h.ema_decay);
  s.one_minus_ema_decay = static_cast<float>(1 - h.ema_decay);
  return s;
}

void adamw(Cpu& cpu, const AdamWStep* step, const Clipping* clipping, std::int64_t n, const float* gradients,
           float* parameters, float* exp_avg, float* exp_avg_sq, float* ema, bf16* compute_weights) {
  if (!clipping->finite) return;
  parallel_for(cpu, n, kGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t block = begin; block < end; block += kGrain) {
      const std::int64_t block_end = std::min(end, block + kGrain);
      update(*step, clipping->scale, block, block_end, gradients, parameters, exp_avg, exp_avg_sq, ema);
      // The block is still in the first-level cache.
      if (compute_weights) narrow(block_end - block, parameters + block, compute_weights + block);
    }
  });
}

}  // namespace gpumonth::ops
