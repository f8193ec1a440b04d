// The loss against the reference's own path in double precision (x_t, predicted x_0, posterior means,
// normal_kl), the gradient against central differences of that.
#include "trainer/ops/diffusion_loss.h"

#include <cmath>
#include <numbers>

#include "tests/catch.h"
#include "tests/trainer/ops/values.h"
#include "trainer/ops/bf16.h"

namespace gpumonth::ops {
namespace {

using tests::random_values, tests::relative_distance, tests::same_bits;

const ops::DiffusionSchedule kSchedule;
const auto kTable = ops::step_coefficients(kSchedule);

struct Case {
  LatentShape shape;
  bool learn_sigma;
  std::vector<std::int32_t> t;
};

const Case kCases[] = {
    {{4, 1, 8, 8, 1, 2}, true, {0, 1, 2, 57, 400, 999}},
    {{3, 1, 12, 12, 1, 4}, true, {3, 0, 998}},
    {{2, 6, 4, 8, 2, 2}, true, {5, 0, 700}},
    {{4, 1, 8, 8, 1, 2}, false, {0, 1, 500, 999}},
    {{5, 3, 6, 9, 3, 3}, false, {250}},
};

struct Data {
  explicit Data(const Case& c)
      : tokens(random_values(
            static_cast<std::int64_t>(c.t.size()) * c.shape.channels * c.shape.plane() * (c.learn_sigma ? 2 : 1), 1,
            0.7f)),
        x_0(random_values(static_cast<std::int64_t>(c.t.size()) * c.shape.channels * c.shape.plane(), 2)),
        noise(random_values(static_cast<std::int64_t>(x_0.size()), 3)) {}
  std::vector<float> tokens, x_0, noise;

  DiffusionLossInput input(const Case& c) const {
    return {tokens.data(),
            x_0.data(),
            noise.data(),
            c.t.data(),
            kTable.data(),
            c.shape,
            static_cast<std::int64_t>(c.t.size()),
            c.learn_sigma};
  }
};

/// The model's outputs of one latent value, found from the definition of unpatchify.
struct Place {
  std::size_t epsilon, variance;  ///< index in tokens
};
Place place_of(const Case& c, std::size_t index) {
  const LatentShape& s = c.shape;
  const auto i = static_cast<std::int64_t>(index);
  const std::int64_t x = i % s.width, y = i / s.width % s.height, f = i / (s.width * s.height) % s.frames;
  const std::int64_t channel = i / s.plane() % s.channels, b = i / (s.plane() * s.channels);
  const std::int64_t token =
      (f / s.temporal_patch * (s.height / s.patch) + y / s.patch) * (s.width / s.patch) + x / s.patch;
  const std::int64_t q = (f % s.temporal_patch * s.patch + y % s.patch) * s.patch + x % s.patch;
  const std::int64_t out_channels = s.channels * (c.learn_sigma ? 2 : 1);
  const std::int64_t at = ((b * s.tokens() + token) * s.patch_volume() + q) * out_channels + channel;
  return {static_cast<std::size_t>(at), static_cast<std::size_t>(at + s.channels)};
}

using Real = long double;  // central differences of a slope of 1e-7 want more digits than double has

Real cdf(Real x) {
  return 0.5L * (1 + std::tanh(std::sqrt(2 / std::numbers::pi_v<Real>) * (x + 0.044715L * x * x * x)));
}

/// vb of one value in nats, through x_t and the predicted x_0 as the reference computes it.
Real vb_nats(int t, Real x_0, Real noise, Real epsilon, Real v) {
  const auto& s = kSchedule;
  const Real x_t = s.sqrt_alphas_cumprod[t] * x_0 + s.sqrt_one_minus_alphas_cumprod[t] * noise;
  const Real predicted = s.sqrt_recip_alphas_cumprod[t] * x_t - s.sqrt_recipm1_alphas_cumprod[t] * epsilon;
  const Real true_mean = s.posterior_mean_coef1[t] * x_0 + s.posterior_mean_coef2[t] * x_t;
  const Real mean = s.posterior_mean_coef1[t] * predicted + s.posterior_mean_coef2[t] * x_t;
  const Real low = s.posterior_log_variance_clipped[t], frac = (v + 1) / 2;
  const Real log_variance = frac * s.log_betas[t] + (1 - frac) * low;
  if (t > 0) {
    return 0.5L * (-1 + log_variance - low + std::exp(low - log_variance) +
                   (true_mean - mean) * (true_mean - mean) * std::exp(-log_variance));
  }
  const Real inverse_std = std::exp(-0.5L * log_variance), centered = x_0 - mean;
  const Real plus = cdf(inverse_std * (centered + Real{1} / 255)),
             minus = cdf(inverse_std * (centered - Real{1} / 255));
  const Real p = x_0 < -0.999L ? plus : x_0 > 0.999L ? 1 - minus : plus - minus;
  return -std::log(std::max<Real>(p, 1e-12L));
}

struct Expected {
  std::vector<double> mse, vb, gradient;
};

/// Every loss term touches one value of epsilon and one of the variance: the central difference is taken term
/// by term.
Expected expected(const Case& c, const Data& d, double loss_scale) {
  const std::size_t values = d.x_0.size() / c.t.size();
  Expected e{std::vector<double>(c.t.size()), std::vector<double>(c.t.size()), std::vector<double>(d.tokens.size())};
  const double h = 1e-5, n = static_cast<double>(values);
  const Real hr = 1e-5L, nr = static_cast<Real>(values);
  for (std::size_t i = 0; i < d.x_0.size(); ++i) {
    const std::size_t b = i / values;
    const Place at = place_of(c, i);
    const double epsilon = d.tokens[at.epsilon], noise = d.noise[i], x_0 = d.x_0[i];
    const auto mse = [&](double eps) { return (noise - eps) * (noise - eps) / n; };
    e.mse[b] += mse(epsilon);
    e.gradient[at.epsilon] = loss_scale * (mse(epsilon + h) - mse(epsilon - h)) / (2 * h);
    if (!c.learn_sigma) continue;
    const double v = d.tokens[at.variance];
    const auto vb = [&](Real variance) {
      return vb_nats(c.t[b], x_0, noise, epsilon, variance) / nr / std::numbers::ln2_v<Real>;
    };
    e.vb[b] += static_cast<double>(vb(v));
    e.gradient[at.variance] = loss_scale * static_cast<double>((vb(v + hr) - vb(v - hr)) / (2 * hr));
  }
  return e;
}

template <class T>
struct Result {
  std::vector<T> gradient;
  std::vector<double> loss, mse, vb;
};

template <class T>
Result<T> run(const Case& c, const Data& d, float loss_scale, int threads) {
  Cpu cpu{threads};
  Result<T> r{std::vector<T>(d.tokens.size()), std::vector<double>(c.t.size(), NAN),
              std::vector<double>(c.t.size(), NAN), std::vector<double>(c.t.size(), NAN)};
  diffusion_loss(cpu, d.input(c), loss_scale, r.gradient.data(), r.loss.data(), r.mse.data(), r.vb.data());
  return r;
}

TEST_CASE("diffusion_loss: mse, vb and gradient agree with the reference's path in double") {
  for (const Case& c : kCases) {
    const Data d(c);
    const auto got = run<float>(c, d, 0.125f, 2);
    const Expected e = expected(c, d, 0.125);
    for (std::size_t b = 0; b < c.t.size(); ++b) {
      CAPTURE(c.t[b], c.learn_sigma, c.shape.frames, c.shape.patch);
      CHECK(got.mse[b] == Approx(e.mse[b]).epsilon(1e-6));
      CHECK(got.vb[b] == Approx(e.vb[b]).epsilon(1e-6).margin(3e-7));
      CHECK(got.loss[b] == got.mse[b] + got.vb[b]);
      // Sample by sample: the variance's gradient at large t is a thousand times smaller than at small t.
      const auto part = [&](const auto& all, bool variance) {
        std::vector<double> values;
        for (std::size_t i = b * d.x_0.size() / c.t.size(); i < (b + 1) * d.x_0.size() / c.t.size(); ++i) {
          const Place at = place_of(c, i);
          values.push_back(static_cast<double>(all[variance ? at.variance : at.epsilon]));
        }
        return values;
      };
      CHECK(relative_distance(part(got.gradient, false), part(e.gradient, false)) < 1e-6);
      if (c.learn_sigma) CHECK(relative_distance(part(got.gradient, true), part(e.gradient, true)) < 5e-6);
    }
  }
}

TEST_CASE("diffusion_loss: a bf16 gradient is the fp32 one rounded") {
  for (const Case& c : kCases) {
    const Data d(c);
    const auto exact = run<float>(c, d, 0.125f, 1);
    const auto rounded = run<bf16>(c, d, 0.125f, 1);
    bool equal = true;
    for (std::size_t i = 0; i < exact.gradient.size(); ++i) {
      equal &= rounded.gradient[i].bits == from_float<bf16>(exact.gradient[i]).bits;
    }
    CHECK(equal);
    CHECK(same_bits(exact.loss, rounded.loss));
  }
}

TEST_CASE("diffusion_loss: the same bits for any thread count, without mse and vb, and without gradient") {
  for (const Case& c : kCases) {
    const Data d(c);
    const auto one = run<float>(c, d, 0.125f, 1);
    for (const int threads : {2, 3}) {
      const auto more = run<float>(c, d, 0.125f, threads);
      CHECK(same_bits(one.gradient, more.gradient));
      CHECK(same_bits(one.loss, more.loss));
    }
    Cpu cpu;
    std::vector<float> gradient(d.tokens.size());
    std::vector<double> loss(c.t.size());
    diffusion_loss(cpu, d.input(c), 0.125f, gradient.data(), loss.data(), nullptr, nullptr);
    CHECK(same_bits(one.gradient, gradient));
    CHECK(same_bits(one.loss, loss));
    std::fill(loss.begin(), loss.end(), 0.0);
    diffusion_loss(cpu, d.input(c), 0.125f, static_cast<float*>(nullptr), loss.data(), nullptr, nullptr);
    CHECK(same_bits(one.loss, loss));
  }
}

TEST_CASE("diffusion_loss: a NaN output is seen in the loss of its sample only") {
  const Case& c = kCases[0];
  Data d(c);
  d.tokens[place_of(c, 3 * d.x_0.size() / c.t.size() + 7).variance] = NAN;
  const auto got = run<float>(c, d, 1.0f, 2);
  CHECK(std::isnan(got.loss[3]));
  CHECK(std::isfinite(got.loss[2]));
}

}  // namespace
}  // namespace gpumonth::ops
