#include "trainer/ops/diffusion.h"

#include <cmath>
#include <utility>

namespace gpumonth::ops {

std::vector<double> linear_betas() {
  constexpr double kFirstBeta = 1e-4, kLastBeta = 0.02;
  std::vector<double> betas;
  for (int t = 0; t < kDiffusionSteps; ++t)
    betas.push_back(kFirstBeta + (kLastBeta - kFirstBeta) * t / (kDiffusionSteps - 1));
  return betas;
}

DiffusionSchedule::DiffusionSchedule(std::vector<double> betas_) : betas(std::move(betas_)) {
  double cumulative = 1;
  for (const double beta : betas) {
    const double previous = cumulative;
    cumulative *= 1 - beta;
    alphas_cumprod.push_back(cumulative);
    sqrt_alphas_cumprod.push_back(std::sqrt(cumulative));
    sqrt_one_minus_alphas_cumprod.push_back(std::sqrt(1 - cumulative));
    sqrt_recip_alphas_cumprod.push_back(std::sqrt(1 / cumulative));
    sqrt_recipm1_alphas_cumprod.push_back(std::sqrt(1 / cumulative - 1));
    log_betas.push_back(std::log(beta));
    posterior_variance.push_back(beta * (1 - previous) / (1 - cumulative));
    posterior_mean_coef1.push_back(beta * std::sqrt(previous) / (1 - cumulative));
    posterior_mean_coef2.push_back((1 - previous) * std::sqrt(1 - beta) / (1 - cumulative));
  }
  for (std::size_t t = 0; t < betas.size(); ++t)
    posterior_log_variance_clipped.push_back(std::log(posterior_variance[t == 0 ? 1 : t]));
}

std::vector<StepCoefficients> step_coefficients(const DiffusionSchedule& s) {
  std::vector<StepCoefficients> table;
  for (std::size_t t = 0; t < s.betas.size(); ++t) {
    const double mean_error = s.posterior_mean_coef1[t] * s.sqrt_recipm1_alphas_cumprod[t];
    const double min_log_variance = s.posterior_log_variance_clipped[t];
    table.push_back({.signal = static_cast<float>(s.sqrt_alphas_cumprod[t]),
                     .noise = static_cast<float>(s.sqrt_one_minus_alphas_cumprod[t]),
                     .mean_error = static_cast<float>(mean_error),
                     .kl_weight = static_cast<float>(mean_error * mean_error * std::exp(-min_log_variance)),
                     .min_log_variance = static_cast<float>(min_log_variance),
                     .log_variance_range = static_cast<float>(s.log_betas[t] - min_log_variance)});
  }
  return table;
}

}  // namespace gpumonth::ops
