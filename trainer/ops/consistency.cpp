#include "trainer/ops/consistency.h"

#include <algorithm>

namespace gpumonth::ops {
namespace {

constexpr double kSigmaData = 0.5, kTimestepScale = 10;  // of latent consistency models

double noise_over_signal(const DiffusionSchedule& schedule, int t) {
  return schedule.sqrt_recipm1_alphas_cumprod[static_cast<std::size_t>(t)];
}

}  // namespace

ConsistencyScale consistency_scale(const DiffusionSchedule& schedule, int t) {
  const double time = kTimestepScale * t, square = time * time + kSigmaData * kSigmaData;
  const double skip = kSigmaData * kSigmaData / square, out = time / std::sqrt(square);
  return {skip + out * schedule.sqrt_recip_alphas_cumprod[static_cast<std::size_t>(t)],
          -out * noise_over_signal(schedule, t)};
}

std::vector<ConsistencyCoefficients> consistency_coefficients(const DiffusionSchedule& schedule, int skip) {
  std::vector<ConsistencyCoefficients> table;
  for (int t = 0; t < static_cast<int>(schedule.betas.size()); ++t) {
    const int s = std::max(t - skip, 0);
    const auto below = static_cast<std::size_t>(s);
    const double signal = schedule.sqrt_alphas_cumprod[below], noise = schedule.sqrt_one_minus_alphas_cumprod[below];
    const ConsistencyScale f = consistency_scale(schedule, t);
    const double signal_ratio = signal * schedule.sqrt_recip_alphas_cumprod[static_cast<std::size_t>(t)];
    const double weight = s < t ? 1 / (noise_over_signal(schedule, t) - noise_over_signal(schedule, s)) : 0;
    table.push_back(
        {.x_scale = static_cast<float>(f.x),
         .epsilon_scale = static_cast<float>(f.epsilon),
         .step_x_scale = static_cast<float>(s < t ? signal_ratio : 1),
         .step_epsilon_scale = static_cast<float>(s < t ? noise - signal * noise_over_signal(schedule, t) : 0),
         .weight = static_cast<float>(weight),
         .s = s});
  }
  return table;
}

}  // namespace gpumonth::ops
