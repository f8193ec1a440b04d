// What lies between the passes of consistency distillation, and its loss, against closed forms in double; the gradient against
// central differences.
#include "trainer/ops/consistency.h"

#include <algorithm>
#include <cmath>

#include "tests/catch.h"
#include "tests/trainer/ops/consistency_cases.h"
#include "trainer/ops/bf16.h"

namespace gpumonth::ops {
namespace {

using tests::ConsistencyCase, tests::kConsistencyCases, tests::random_values, tests::same_bits;

const DiffusionSchedule kSchedule;

double signal(int t) { return kSchedule.sqrt_alphas_cumprod[static_cast<std::size_t>(t)]; }
double noise(int t) { return kSchedule.sqrt_one_minus_alphas_cumprod[static_cast<std::size_t>(t)]; }

TEST_CASE("f is the identity at t = 0, and the x_0 of x_t and its noise everywhere else") {
  CHECK(consistency_scale(kSchedule, 0).x == 1);
  CHECK(consistency_scale(kSchedule, 0).epsilon == 0);
  for (const int t : {1, 2, 20, 500, 999}) {
    CAPTURE(t);
    const ConsistencyScale f = consistency_scale(kSchedule, t);
    const double x_0 = 0.7, epsilon = -1.3, x_t = signal(t) * x_0 + noise(t) * epsilon;
    const double skip = 0.25 / (100.0 * t * t + 0.25), out = 10.0 * t / std::sqrt(100.0 * t * t + 0.25);
    CHECK(f.x * x_t + f.epsilon * epsilon == Approx(skip * x_t + out * x_0).epsilon(1e-10));
  }
}

TEST_CASE("the teacher's step carries x_t of one x_0 and one noise to x_s of the same") {
  for (const int skip : {1, 20, 250, 999}) {
    const auto table = consistency_coefficients(kSchedule, skip);
    REQUIRE(table.size() == 1000);
    for (const int t : {0, 1, 19, 20, 21, 500, 999}) {
      CAPTURE(skip, t);
      const ConsistencyCoefficients& k = table[static_cast<std::size_t>(t)];
      const int s = std::max(0, t - skip);
      CHECK(k.s == s);
      CHECK(double{k.step_x_scale} * signal(t) == Approx(signal(s)).epsilon(1e-6));
      CHECK(double{k.step_x_scale} * noise(t) + double{k.step_epsilon_scale} ==
            Approx(noise(s)).margin(1e-6 * double{k.step_x_scale}));
      if (s == t) {
        CHECK(k.weight == 0);
      } else {
        CHECK(1 / double{k.weight} == Approx(noise(t) / signal(t) - noise(s) / signal(s)).epsilon(1e-6));
      }
    }
  }
}

TEST_CASE("the teacher's step guides the first three channels, the target none") {
  const auto table = consistency_coefficients(kSchedule, 20);
  const std::int64_t batch = 3, channels = 5, plane = 7, out_channels = 10;
  const auto output = random_values(2 * batch * out_channels * plane, 1),
             x_t = random_values(batch * channels * plane, 2);
  const std::vector<std::int32_t> t{0, 7, 640};
  Cpu cpu{2};
  ReverseStepInput in{output.data(), nullptr, batch, channels, out_channels, plane, true, 2.5f};
  std::vector<float> x_s(x_t.size());
  std::vector<std::int32_t> s(t.size());
  teacher_step(cpu, in, t.data(), table.data(), x_t.data(), x_s.data(), s.data());
  CHECK(s == std::vector<std::int32_t>{0, 0, 620});
  in.guided = false;
  std::vector<float> f = x_s;
  consistency_target(cpu, in, s.data(), table.data(), f.data());
  for (std::int64_t b = 0; b < batch; ++b)
    for (std::int64_t c = 0; c < channels; ++c)
      for (std::int64_t i = 0; i < plane; ++i) {
        CAPTURE(b, c, i);
        const auto at = static_cast<std::size_t>((b * channels + c) * plane + i);
        const auto said = [&](std::int64_t row) {
          return double{output[static_cast<std::size_t>((row * out_channels + c) * plane + i)]};
        };
        const double teacher = c < 3 ? said(batch + b) + 2.5 * (said(b) - said(batch + b)) : said(b);
        const ConsistencyCoefficients& k = table[static_cast<std::size_t>(t[static_cast<std::size_t>(b)])];
        const ConsistencyCoefficients& below = table[static_cast<std::size_t>(s[static_cast<std::size_t>(b)])];
        CHECK(double{x_s[at]} ==
              Approx(double{k.step_x_scale} * double{x_t[at]} + double{k.step_epsilon_scale} * teacher).margin(1e-6));
        CHECK(double{f[at]} == Approx(double{below.x_scale} * double{x_s[at]} + double{below.epsilon_scale} * said(b))
                                   .epsilon(1e-5)
                                   .margin(1e-4));
      }
  CHECK(std::equal(x_t.begin(), x_t.begin() + channels * plane, f.begin()));  // t = 0: nothing is done to it
}

/// Of one sample in double, from its place in the tokens by the definition of unpatchify; `changed` moves one of them.
double expected_loss(const ConsistencyCase& c, std::int64_t b, std::size_t changed = 0, double by = 0) {
  const auto& k = c.table[static_cast<std::size_t>(c.t[static_cast<std::size_t>(b)])];
  const std::int64_t values = c.shape.channels * c.shape.plane();
  double squares = 0;
  for (std::int64_t i = 0; i < values; ++i) {
    const std::size_t token = c.token_of(b, i), latent = static_cast<std::size_t>(b * values + i);
    const double epsilon = double{c.tokens[token]} + (by != 0 && token == changed ? by : 0);
    const double f = double{k.x_scale} * double{c.x_t[latent]} + double{k.epsilon_scale} * epsilon;
    squares += std::pow(f - double{c.target[latent]}, 2);
  }
  const double mean = squares / static_cast<double>(values);
  return double{k.weight} * (c.metric == ConsistencyMetric::l2 ? mean : std::sqrt(mean + 0.00054 * 0.00054) - 0.00054);
}

template <class T>
struct Loss {
  std::vector<T> gradient;
  std::vector<double> loss;

  Loss(const ConsistencyCase& c, float scale, int threads)
      : gradient(c.tokens.size(), from_float<T>(NAN)), loss(c.t.size()) {
    Cpu cpu{threads};
    consistency_loss(cpu, c.input(c.tokens.data(), c.x_t.data(), c.target.data(), c.t.data(), c.table.data()), scale,
                     gradient.data(), loss.data());
  }
};

TEST_CASE("the loss is the weighted distance of f from its target, its gradient what central differences give") {
  for (const ConsistencyCase& c : kConsistencyCases) {
    INFO(c.name);
    constexpr float kScale = 0.25f;
    const Loss<float> got(c, kScale, 2);
    for (std::int64_t b = 0; b < static_cast<std::int64_t>(c.t.size()); ++b) {
      CAPTURE(b, c.t[static_cast<std::size_t>(b)]);
      const double expected = expected_loss(c, b);
      CHECK(got.loss[static_cast<std::size_t>(b)] == Approx(expected).epsilon(1e-5).margin(1e-12));
      const std::int64_t values = c.shape.channels * c.shape.plane();
      const auto& k = c.table[static_cast<std::size_t>(c.t[static_cast<std::size_t>(b)])];
      // a step that moves f by a hundredth of the distance that it has
      const double h = 1e-2 / std::max(1e-3, std::abs(double{k.epsilon_scale}));
      for (std::int64_t i = 0; i < values; i += 1 + values / 40) {
        const std::size_t at = c.token_of(b, i);
        const double slope = (8 * (expected_loss(c, b, at, h) - expected_loss(c, b, at, -h)) -
                              (expected_loss(c, b, at, 2 * h) - expected_loss(c, b, at, -2 * h))) /
                             (12 * h);
        CHECK(double{got.gradient[at]} == Approx(double{kScale} * slope).epsilon(1e-3).margin(1e-7));
        if (c.learn_sigma) CHECK(got.gradient[at + static_cast<std::size_t>(c.shape.channels)] == 0);
      }
    }
    CHECK(std::none_of(got.gradient.begin(), got.gradient.end(), [](float g) { return std::isnan(g); }));
    const Loss<float> alone(c, kScale, 1);
    CHECK(same_bits(got.gradient, alone.gradient));
    CHECK(same_bits(got.loss, alone.loss));
    const Loss<bf16> rounded(c, kScale, 1);
    for (std::size_t i = 0; i < got.gradient.size(); ++i)
      REQUIRE(to_float(rounded.gradient[i]) == to_float(from_float<bf16>(got.gradient[i])));
  }
}

TEST_CASE("where f is its target there is neither loss nor gradient") {
  for (ConsistencyCase c : kConsistencyCases) {
    INFO(c.name);
    for (std::int32_t& t : c.t) t = std::min(t, 600);  // above it the product's rounding is no longer small
    for (std::size_t b = 0; b < c.t.size(); ++b) {
      const auto& k = c.table[static_cast<std::size_t>(c.t[b])];
      const std::int64_t values = c.shape.channels * c.shape.plane();
      for (std::int64_t i = 0; i < values; ++i) {
        // epsilon 0: f is a product, which rounds once
        c.tokens[c.token_of(static_cast<std::int64_t>(b), i)] = 0;
        const auto latent = b * static_cast<std::size_t>(values) + static_cast<std::size_t>(i);
        c.target[latent] = k.x_scale * c.x_t[latent];
      }
    }
    const Loss<float> got(c, 1, 1);
    for (const double loss : got.loss) CHECK(loss <= 1e-6);
    for (const float g : got.gradient) REQUIRE(std::abs(g) <= 1e-3f);
  }
}

}  // namespace
}  // namespace gpumonth::ops
