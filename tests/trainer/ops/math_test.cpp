// Every element function against double precision; derivatives against central differences.
#include "trainer/ops/math.h"

#include <cmath>
#include <functional>
#include <limits>
#include <numbers>

#include "tests/catch.h"
#include "trainer/ops/diffusion.h"
#include "trainer/ops/random.h"

namespace gpumonth::ops {
namespace {

double ulps(float got, double exact) {
  const float nearest = static_cast<float>(exact);
  const double ulp =
      static_cast<double>(std::nextafter(std::abs(nearest), INFINITY)) - static_cast<double>(std::abs(nearest));
  return std::abs(static_cast<double>(got) - exact) / ulp;
}

double central_difference(const std::function<double(double)>& f, double x, double h = 1e-5) {
  return (f(x + h) - f(x - h)) / (2 * h);
}

double sigmoid_exact(double x) { return 1 / (1 + std::exp(-x)); }
double gelu_exact(double x) {
  return 0.5 * x * (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
}

TEST_CASE("fast_exp is within 2 ulp, clamps, and lets NaN through") {
  double worst = 0;
  for (float x = -87.3f; x < 88.3f; x += 0.000731f) worst = std::max(worst, ulps(fast_exp(x), std::exp(double{x})));
  CHECK(worst <= 2.0);
  CHECK(fast_exp(0.0f) == 1.0f);
  CHECK(fast_exp(-1e30f) < 1.3e-38f);
  CHECK(fast_exp(-1e30f) >= 0.0f);
  CHECK(fast_exp(std::numeric_limits<float>::infinity()) > 2e38f);
  CHECK(std::isfinite(fast_exp(1e30f)));
  CHECK(std::isnan(fast_exp(std::numeric_limits<float>::quiet_NaN())));
  CHECK(std::isnan(fast_exp(-std::numeric_limits<float>::quiet_NaN())));
}

TEST_CASE("fast_exp2 is within 2 ulp, clamps, and lets NaN through") {
  double worst = 0;
  for (float x = -126.0f; x < 127.48f; x += 0.000731f)
    worst = std::max(worst, ulps(fast_exp2(x), std::exp2(double{x})));
  CHECK(worst <= 2.0);
  CHECK(fast_exp2(0.0f) == 1.0f);
  CHECK(fast_exp2(-1e30f) < 1.3e-38f);
  CHECK(fast_exp2(-1e30f) >= 0.0f);
  CHECK(fast_exp2(std::numeric_limits<float>::infinity()) > 2e38f);
  CHECK(std::isfinite(fast_exp2(1e30f)));
  CHECK(std::isnan(fast_exp2(std::numeric_limits<float>::quiet_NaN())));
}

TEST_CASE("fast_log is within 2 ulp") {
  double worst = 0;
  for (float x = 1.2e-38f; x < 1e38f; x *= 1.00037f) worst = std::max(worst, ulps(fast_log(x), std::log(double{x})));
  for (float x = 0.5f; x < 2.0f; x += 1.3e-5f) worst = std::max(worst, ulps(fast_log(x), std::log(double{x})));
  CHECK(worst <= 2.0);
  CHECK(fast_log(1.0f) == 0.0f);
}

TEST_CASE("fast_sincos_2pi is within 3e-7 on [0, 1]") {
  double worst = 0;
  for (int i = 0; i <= 1 << 20; ++i) {
    const float u = static_cast<float>(i) / static_cast<float>(1 << 20);
    float c, s;
    fast_sincos_2pi(u, &c, &s);
    const double angle = 2 * std::numbers::pi * double{u};
    worst = std::max({worst, std::abs(double{c} - std::cos(angle)), std::abs(double{s} - std::sin(angle))});
  }
  CHECK(worst < 3e-7);
}

TEST_CASE("activations and their derivatives agree with double precision") {
  for (float x = -12.0f; x < 12.0f; x += 0.0137f) {
    CAPTURE(x);
    const auto silu_exact = [](double y) { return y * sigmoid_exact(y); };
    REQUIRE(sigmoid(x) == Approx(sigmoid_exact(x)).epsilon(1e-6));
    REQUIRE(silu(x) == Approx(silu_exact(x)).epsilon(1e-6));
    REQUIRE(gelu_tanh(x) == Approx(gelu_exact(x)).epsilon(1e-5).margin(1e-10));
    REQUIRE(silu_derivative(x) == Approx(central_difference(silu_exact, x)).epsilon(1e-6).margin(1e-6));
    REQUIRE(gelu_tanh_derivative(x) == Approx(central_difference(gelu_exact, x)).epsilon(1e-6).margin(1e-6));
  }
  for (const float x : {-1e4f, -300.0f, 300.0f, 1e4f}) {
    CAPTURE(x);
    CHECK(gelu_tanh(x) == Approx(std::max(x, 0.0f)).margin(1e-30));
    CHECK(silu(x) == Approx(std::max(x, 0.0f)).margin(1e-30));
    CHECK(gelu_tanh_derivative(x) == Approx(x > 0 ? 1.0 : 0.0).margin(1e-20));
  }
  CHECK(std::isnan(gelu_tanh(std::numeric_limits<float>::quiet_NaN())));
  CHECK(std::isnan(silu(std::numeric_limits<float>::quiet_NaN())));
}

TEST_CASE("kl_element is the divergence of two Gaussians, its slope their derivative") {
  const ops::DiffusionSchedule s;
  const auto table = ops::step_coefficients(s);
  for (const int t : {1, 2, 17, 250, 999}) {
    for (double v = -1.5; v < 1.6; v += 0.31) {
      for (double error = -3; error < 3.1; error += 0.5) {
        const double log_q = s.posterior_log_variance_clipped[t], mean_1 = 0.3;
        const double mean_2 = mean_1 - error * s.posterior_mean_coef1[t] * s.sqrt_recipm1_alphas_cumprod[t];
        const auto kl = [&](double variance_output) {
          const double frac = (variance_output + 1) / 2;
          const double log_p = frac * s.log_betas[t] + (1 - frac) * log_q;
          return 0.5 * (log_p - log_q - 1 + std::exp(log_q - log_p) + std::pow(mean_1 - mean_2, 2) * std::exp(-log_p));
        };
        const auto got = kl_element(static_cast<float>(error), static_cast<float>(v), table[t].log_variance_range,
                                    table[t].kl_weight);
        CAPTURE(t, v, error);
        REQUIRE(got.value == Approx(kl(v)).epsilon(2e-6).margin(2e-7));
        REQUIRE(got.slope == Approx(central_difference(kl, v)).epsilon(1e-5).margin(1e-7));
      }
    }
  }
}

TEST_CASE("decoder_nll_element is the discretised Gaussian's, its slope the derivative") {
  const ops::DiffusionSchedule s;
  const double low = s.posterior_log_variance_clipped[0], range = s.log_betas[0] - low;
  const auto cdf = [](double x) {
    return 0.5 * (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
  };
  for (const double x_0 : {-1.0, -0.4, 0.7, 1.0, 2.5}) {
    for (double centered = -0.03; centered <= 0.03; centered += 0.0037) {
      for (const double v : {-1.0, 0.0, 0.4, 1.2}) {
        const auto nll = [&](double variance_output) {
          const double inverse_std = std::exp(-0.5 * (low + (variance_output + 1) / 2 * range));
          const double plus = cdf(inverse_std * (centered + 1 / 255.0)),
                       minus = cdf(inverse_std * (centered - 1 / 255.0));
          const double p = x_0 < -0.999 ? plus : x_0 > 0.999 ? 1 - minus : plus - minus;
          return -std::log(std::max(p, 1e-12));
        };
        const auto got = decoder_nll_element(x_0, centered, v, low, range);
        CAPTURE(x_0, centered, v);
        REQUIRE(got.value == Approx(nll(v)).epsilon(1e-8).margin(1e-10));
        REQUIRE(got.slope == Approx(central_difference(nll, v)).epsilon(1e-5).margin(1e-8));
      }
    }
  }
  const auto beyond = decoder_nll_element(0.5, 1.0, 0.0, low, range);  // clamped, as in the reference
  CHECK(beyond.value == Approx(-std::log(1e-12)));
  CHECK(beyond.slope == 0.0);
}

TEST_CASE("bf16 rounds to nearest even and keeps NaN and infinity") {
  CHECK(from_float<bf16>(1.0f).bits == 0x3f80);
  CHECK(from_float<bf16>(1.00390625f).bits == 0x3f80);  // half way: to even
  CHECK(from_float<bf16>(1.01171875f).bits == 0x3f82);  // half way: to even
  CHECK(from_float<bf16>(1.004f).bits == 0x3f81);
  CHECK(std::isnan(to_float(from_float<bf16>(std::numeric_limits<float>::signaling_NaN()))));
  CHECK(std::isinf(to_float(from_float<bf16>(std::numeric_limits<float>::infinity()))));
}

TEST_CASE("normal4 is Box-Muller to 2e-6, and normal") {
  double worst = 0, sum = 0, squares = 0, fourth = 0;
  constexpr std::uint32_t kDraws = 250000;
  for (std::uint32_t i = 0; i < kDraws; ++i) {
    const auto r = ops::philox(7, 3, 11, ops::Purpose::noise, i);
    float got[4];
    ops::normal4(r, got);
    for (int j = 0; j < 4; ++j) {
      const double u1 = ((r.v[j / 2 * 2] >> 9) + 0.5) / 8388608, u2 = ((r.v[j / 2 * 2 + 1] >> 9) + 0.5) / 8388608;
      const double angle = 2 * std::numbers::pi * u2;
      const double exact = std::sqrt(-2 * std::log(u1)) * (j % 2 == 0 ? std::cos(angle) : std::sin(angle));
      worst = std::max(worst, std::abs(double{got[j]} - exact));
      sum += exact;
      squares += double{got[j]} * double{got[j]};
      fourth += std::pow(double{got[j]}, 4);
    }
  }
  CHECK(worst < 2e-6);
  CHECK(sum / (4 * kDraws) == Approx(0).margin(0.004));  // 4 standard errors
  CHECK(squares / (4 * kDraws) == Approx(1).margin(0.006));
  CHECK(fourth / (4 * kDraws) == Approx(3).margin(0.04));
}

}  // namespace
}  // namespace gpumonth::ops
