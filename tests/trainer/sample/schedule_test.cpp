// Respacing as the reference's, and what each step does, against the closed forms of the papers.
#include "trainer/sample/schedule.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/error.h"
#include "tests/catch.h"

using namespace gpumonth;
using namespace gpumonth::trainer;
using gpumonth::tests::contains;

namespace {

/// alpha_bar of the full schedule, from its definition.
std::vector<double> alpha_bars() {
  std::vector<double> bars;
  double product = 1;
  for (int t = 0; t < 1000; ++t) bars.push_back(product *= 1 - (1e-4 + (0.02 - 1e-4) * t / 999));
  return bars;
}

TEST_CASE("timesteps are those of space_timesteps") {
  // From Python's round in the reference's function: 999 / 9 = 111 and 999 / 3 = 333 are whole, 999 / 4 is not.
  CHECK(space_timesteps(10) == std::vector<int>{0, 111, 222, 333, 444, 555, 666, 777, 888, 999});
  CHECK(space_timesteps(4) == std::vector<int>{0, 333, 666, 999});
  CHECK(space_timesteps(5) == std::vector<int>{0, 250, 500, 749, 999});  // 499.5 is rounded to the even 500
  CHECK(space_timesteps(2) == std::vector<int>{0, 999});
  for (const int count : {3, 50, 250, 777, 1000}) {
    CAPTURE(count);
    const auto steps = space_timesteps(count);
    CHECK(std::set<int>(steps.begin(), steps.end()).size() == static_cast<std::size_t>(count));
    CHECK(std::is_sorted(steps.begin(), steps.end()));
    CHECK(steps.front() == 0);
    CHECK(steps.back() == 999);
  }
}

TEST_CASE("more steps than the schedule, or one, are refused") {
  for (const int count : {-1, 0, 1, 1001})
    CHECK_THROWS_WITH(space_timesteps(count), contains("the schedule has 1000") && contains("2 to 1000"));
  CHECK_THROWS_AS(reverse_steps(Sampler::ddim, 1001, true), UserError);
  CHECK_THROWS_WITH(sampler_named("euler"), contains("'euler' is no sampler"));
  for (const int count : {-1, 0, 1001})
    CHECK_THROWS_WITH(consistency_timesteps(count), contains("the schedule has 1000") && contains("1 to 1000"));
}

TEST_CASE("a consistency model begins at the noisiest timestep and goes down in equal strides") {
  CHECK(consistency_timesteps(1) == std::vector<int>{999});
  CHECK(consistency_timesteps(2) == std::vector<int>{999, 499});
  CHECK(consistency_timesteps(3) == std::vector<int>{999, 666, 333});
  CHECK(consistency_timesteps(4) == std::vector<int>{999, 749, 499, 249});
  CHECK(consistency_timesteps(1000).back() == 0);
}

TEST_CASE("a consistency step says x_0, and noises it to the next timestep") {
  const auto bars = alpha_bars();
  const double x_0 = 0.6, epsilon = -0.8;
  for (const int count : {1, 2, 4}) {
    CAPTURE(count);
    const auto timesteps = consistency_timesteps(count);
    const auto steps = reverse_steps(Sampler::consistency, count, true);
    REQUIRE(steps.size() == timesteps.size());
    for (std::size_t i = 0; i < steps.size(); ++i) {
      CAPTURE(i);
      const bool last = i + 1 == steps.size();
      const double bar = bars[static_cast<std::size_t>(timesteps[i])];
      const double next = last ? 1 : bars[static_cast<std::size_t>(timesteps[i + 1])];
      CHECK(steps[i].t == timesteps[i]);
      CHECK(steps[i].number == i + 1);
      CHECK(steps[i].adds_noise == !last);
      const double x_t = std::sqrt(bar) * x_0 + std::sqrt(1 - bar) * epsilon;
      const double x = double{steps[i].x_scale} * x_t + double{steps[i].epsilon_scale} * epsilon;
      CHECK(x == Approx(std::sqrt(next) * x_0).margin(1e-4));
      if (!last) CHECK(std::exp(double{steps[i].min_log_variance}) == Approx(1 - next).epsilon(1e-6));
      CHECK(steps[i].log_variance_range == 0);
    }
  }
}

TEST_CASE(
    "a ddpm step is (x - beta / sqrt(1 - alpha_bar) epsilon) / sqrt(alpha), its variance in the posterior's range") {
  const auto bars = alpha_bars();
  for (const int count : {2, 10, 250, 1000}) {
    CAPTURE(count);
    const auto timesteps = space_timesteps(count);
    const auto steps = reverse_steps(Sampler::ddpm, count, true);
    REQUIRE(steps.size() == static_cast<std::size_t>(count));
    for (std::size_t k = 0; k < steps.size(); ++k) {
      CAPTURE(k);
      const std::size_t i = steps.size() - 1 - k;
      const double bar = bars[static_cast<std::size_t>(timesteps[i])];
      const double before = i == 0 ? 1 : bars[static_cast<std::size_t>(timesteps[i - 1])];
      const double alpha = bar / before, beta = 1 - alpha;
      CHECK(steps[k].t == timesteps[i]);
      CHECK(steps[k].number == k + 1);
      CHECK(double{steps[k].x_scale} == Approx(1 / std::sqrt(alpha)).epsilon(1e-6));
      CHECK(double{steps[k].epsilon_scale} == Approx(-beta / std::sqrt(alpha * (1 - bar))).epsilon(1e-6));
      CHECK(steps[k].adds_noise == (i > 0));
      if (i == 0) continue;
      const double posterior = std::log(beta * (1 - before) / (1 - bar));
      CHECK(double{steps[k].min_log_variance} == Approx(posterior).epsilon(1e-6));
      CHECK(double{steps[k].min_log_variance} + double{steps[k].log_variance_range} ==
            Approx(std::log(beta)).epsilon(1e-6).margin(1e-6));
    }
  }
}

TEST_CASE("without a learned variance it is beta") {
  const auto bars = alpha_bars();
  const auto steps = reverse_steps(Sampler::ddpm, 10, false);
  CHECK(std::exp(double{steps[0].min_log_variance}) == Approx(1 - bars[999] / bars[888]).epsilon(1e-6));
  for (const auto& step : steps) CHECK(step.log_variance_range == 0);
}

TEST_CASE("a ddim step carries x_t of one x_0 and one noise to x_{t-1} of the same") {
  const auto bars = alpha_bars();
  for (const int count : {2, 10, 250}) {
    CAPTURE(count);
    const auto timesteps = space_timesteps(count);
    for (const auto& step : reverse_steps(Sampler::ddim, count, true)) {
      const auto i =
          static_cast<std::size_t>(std::find(timesteps.begin(), timesteps.end(), step.t) - timesteps.begin());
      const double bar = bars[static_cast<std::size_t>(step.t)];
      const double before = i == 0 ? 1 : bars[static_cast<std::size_t>(timesteps[i - 1])];
      const double scale = double{step.x_scale};
      CHECK(scale * std::sqrt(bar) == Approx(std::sqrt(before)).epsilon(1e-6));
      CHECK(scale * std::sqrt(1 - bar) + double{step.epsilon_scale} ==
            Approx(std::sqrt(1 - before)).margin(1e-6 * scale));
      CHECK_FALSE(step.adds_noise);
    }
  }
}

}  // namespace
