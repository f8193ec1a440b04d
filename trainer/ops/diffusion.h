// The noise schedule of the reference DiT (linear betas, 1000 steps; Ho et al., arXiv:2006.11239) and what
// training draws per sample.
#pragma once

#include <cstdint>
#include <vector>

#include "trainer/ops/random.h"

namespace gpumonth::ops {

constexpr int kDiffusionSteps = 1000;

/// The reference's kDiffusionSteps: 1e-4 ... 0.02.
std::vector<double> linear_betas();

/// Tables over the steps t = 0 .. betas.size() - 1 in double, named as in the reference's GaussianDiffusion.
struct DiffusionSchedule {
  explicit DiffusionSchedule(std::vector<double> betas = linear_betas());  ///< two or more
  std::vector<double> betas;
  std::vector<double> alphas_cumprod;                  ///< product of (1 - beta) up to and with t
  std::vector<double> sqrt_alphas_cumprod;             ///< x_t = this x x_0 ...
  std::vector<double> sqrt_one_minus_alphas_cumprod;   ///< ... + this x noise
  std::vector<double> sqrt_recip_alphas_cumprod;       ///< x_0 = this x x_t ...
  std::vector<double> sqrt_recipm1_alphas_cumprod;     ///< ... - this x noise
  std::vector<double> log_betas;                       ///< the largest log variance of p(x_{t-1} | x_t)
  std::vector<double> posterior_variance;              ///< of q(x_{t-1} | x_t, x_0); 0 at t = 0
  std::vector<double> posterior_log_variance_clipped;  ///< its log, the value of t = 1 at t = 0
  std::vector<double> posterior_mean_coef1;            ///< mean of q(x_{t-1} | x_t, x_0) = this x x_0 ...
  std::vector<double> posterior_mean_coef2;            ///< ... + this x x_t
};

/// What the ops need of one t, rounded once from double. An array of kDiffusionSteps of them lies on the device.
struct StepCoefficients {
  float signal;              ///< sqrt_alphas_cumprod
  float noise;               ///< sqrt_one_minus_alphas_cumprod
  float mean_error;          ///< posterior_mean_coef1 x sqrt_recipm1: true mean - model mean, per (eps_model - eps)
  float kl_weight;           ///< mean_error^2 / posterior variance (clipped)
  float min_log_variance;    ///< posterior_log_variance_clipped
  float log_variance_range;  ///< log_betas - posterior_log_variance_clipped
};

/// Coefficients by t.
std::vector<StepCoefficients> step_coefficients(const DiffusionSchedule& schedule);

/// Uniform in 0 .. 999 for global sample `sample` of step `step`.
GPUMONTH_HD inline std::int32_t draw_timestep(std::uint64_t seed, std::uint32_t step, std::uint32_t sample) {
  const std::uint64_t bits = philox(seed, step, sample, Purpose::timestep, 0).v[0];
  return static_cast<std::int32_t>((bits * kDiffusionSteps) >> 32);
}

/// `label`, or the null label `num_classes` with probability `dropout`.
GPUMONTH_HD inline std::int32_t draw_label(std::uint64_t seed, std::uint32_t step, std::uint32_t sample,
                                           std::int32_t label, double dropout, std::int32_t num_classes) {
  const double u = (philox(seed, step, sample, Purpose::label_dropout, 0).v[0] + 0.5) / 4294967296.0;
  return u < dropout ? num_classes : label;
}

/// Whether the sample is mirrored: with probability 1/2.
inline bool draw_flip(std::uint64_t seed, std::uint32_t step, std::uint32_t sample) {
  return (philox(seed, step, sample, Purpose::flip, 0).v[0] >> 31) != 0;
}

}  // namespace gpumonth::ops
