#include "trainer/ops/diffusion.h"

#include <cmath>

#include "tests/catch.h"

namespace gpumonth::trainer {
namespace {

TEST_CASE("the linear schedule has the reference's end points") {
  const ops::DiffusionSchedule s;
  REQUIRE(s.betas.size() == ops::kDiffusionSteps);
  CHECK(s.betas.front() == Approx(1e-4).epsilon(1e-14));
  CHECK(s.betas.back() == Approx(0.02).epsilon(1e-14));
  CHECK(s.betas[500] == Approx(1e-4 + 500 * 0.0199 / 999).epsilon(1e-14));
  CHECK(s.alphas_cumprod[0] == Approx(0.9999).epsilon(1e-14));
  CHECK(s.alphas_cumprod[1] == Approx(0.9999 * (1 - s.betas[1])).epsilon(1e-14));
  CHECK(s.alphas_cumprod.back() == Approx(4.0358e-5).epsilon(1e-4));  // known of DDPM: log SNR -10.12 at the end
  CHECK(s.posterior_variance[0] == 0);
  CHECK(s.posterior_log_variance_clipped[0] == s.posterior_log_variance_clipped[1]);
  CHECK(s.posterior_mean_coef1[0] == Approx(1).epsilon(1e-10));
  CHECK(s.posterior_mean_coef2[0] == 0);
}

TEST_CASE("the tables obey the identities of the forward process at every t") {
  const ops::DiffusionSchedule s;
  for (int t = 1; t < ops::kDiffusionSteps; ++t) {
    CAPTURE(t);
    const double signal = s.sqrt_alphas_cumprod[t], noise = s.sqrt_one_minus_alphas_cumprod[t];
    REQUIRE(signal * signal + noise * noise == Approx(1).epsilon(1e-13));
    REQUIRE(s.sqrt_recip_alphas_cumprod[t] * signal == Approx(1).epsilon(1e-13));
    REQUIRE(s.sqrt_recipm1_alphas_cumprod[t] * signal == Approx(noise).epsilon(1e-10));
    // Bayes: 1 / posterior variance = alpha_t / beta_t + 1 / (1 - alpha_bar_{t-1}).
    const double precision = (1 - s.betas[t]) / s.betas[t] + 1 / (1 - s.alphas_cumprod[t - 1]);
    REQUIRE(s.posterior_variance[t] * precision == Approx(1).epsilon(1e-10));
    REQUIRE(s.posterior_mean_coef2[t] == Approx(s.posterior_variance[t] * std::sqrt(1 - s.betas[t]) / s.betas[t]));
    REQUIRE(s.posterior_mean_coef1[t] ==
            Approx(s.posterior_variance[t] * s.sqrt_alphas_cumprod[t - 1] / (1 - s.alphas_cumprod[t - 1])));
    REQUIRE(s.posterior_log_variance_clipped[t] < s.log_betas[t]);
  }
}

TEST_CASE("step_coefficients are finite and derived from the tables") {
  const ops::DiffusionSchedule s;
  const auto table = ops::step_coefficients(s);
  REQUIRE(table.size() == ops::kDiffusionSteps);
  for (int t = 0; t < ops::kDiffusionSteps; ++t) {
    CAPTURE(t);
    REQUIRE(table[t].signal == static_cast<float>(s.sqrt_alphas_cumprod[t]));
    REQUIRE(table[t].noise == static_cast<float>(s.sqrt_one_minus_alphas_cumprod[t]));
    REQUIRE(std::isfinite(table[t].kl_weight));
    REQUIRE(table[t].kl_weight > 0);
    REQUIRE(table[t].log_variance_range > 0);
    REQUIRE(table[t].min_log_variance + table[t].log_variance_range == Approx(s.log_betas[t]).epsilon(1e-6));
  }
}

TEST_CASE("timesteps are uniform and belong to the sample") {
  std::vector<int> counts(10);
  constexpr int kDraws = 100000;
  double next = 0;
  for (std::uint32_t sample = 0; sample < kDraws; ++sample) {
    const int t = ops::draw_timestep(1, 5, sample);
    REQUIRE(t >= 0);
    REQUIRE(t < ops::kDiffusionSteps);
    ++counts[static_cast<std::size_t>(t / 100)];
    next += (t - 499.5) * (ops::draw_timestep(1, 6, sample) - 499.5) / kDraws;
  }
  double chi_squared = 0;
  for (const int c : counts) chi_squared += std::pow(c - kDraws / 10.0, 2) / (kDraws / 10.0);
  CHECK(chi_squared < 27.9);  // 9 degrees of freedom, p = 0.001
  CHECK(std::abs(next) / 83333 < 0.015);
  CHECK(ops::draw_timestep(1, 5, 7) == ops::draw_timestep(1, 5, 7));
}

TEST_CASE("labels are dropped with the given probability") {
  int dropped = 0;
  for (std::uint32_t sample = 0; sample < 100000; ++sample) {
    const int label = ops::draw_label(1, 5, sample, 3, 0.1, 10);
    REQUIRE((label == 3 || label == 10));
    dropped += label == 10;
    REQUIRE(ops::draw_label(1, 5, sample, 3, 0.0, 10) == 3);
    REQUIRE(ops::draw_label(1, 5, sample, 3, 1.0, 10) == 10);
  }
  CHECK(std::abs(dropped - 10000) < 400);
}

}  // namespace
}  // namespace gpumonth::trainer
