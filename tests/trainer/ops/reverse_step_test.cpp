// One reverse step against its formula, element by element in double.
#include "trainer/ops/reverse_step.h"

#include <cmath>

#include "tests/catch.h"
#include "tests/trainer/ops/values.h"

namespace gpumonth::ops {
namespace {

using tests::random_values, tests::same_bits;

struct ReverseCase {
  std::int64_t samples = 3, channels = 5, plane = 37;
  bool learned = true, guided = true;
  float guidance = 2.5f;
  ReverseStep step{.t = 500,
                   .number = 4,
                   .x_scale = 1.25f,
                   .epsilon_scale = -0.75f,
                   .min_log_variance = -3.0f,
                   .log_variance_range = 1.5f,
                   .adds_noise = true};

  std::int64_t out_channels() const { return learned ? 2 * channels : channels; }
  std::vector<float> output() const { return random_values((guided ? 2 : 1) * samples * out_channels() * plane, 1); }
  std::vector<float> noise() const { return random_values(samples * channels * plane, 2); }
  std::vector<float> x() const { return random_values((guided ? 2 : 1) * samples * channels * plane, 3); }

  std::vector<float> run(int threads) const {
    Cpu cpu{threads};
    const auto all = output(), given = noise();
    auto result = x();
    reverse_step(cpu, {all.data(), given.data(), samples, channels, out_channels(), plane, guided, guidance}, step,
                 result.data());
    return result;
  }

  double value(const std::vector<float>& all, std::int64_t b, std::int64_t c, std::int64_t i) const {
    const auto at = [&](std::int64_t row) {
      return double{all[static_cast<std::size_t>((row * out_channels() + c) * plane + i)]};
    };
    if (!guided || c >= 3) return at(b);
    return at(samples + b) + double{guidance} * (at(b) - at(samples + b));
  }

  std::vector<double> expected() const {
    const auto all = output(), given = noise(), before = x();
    std::vector<double> result;
    for (std::int64_t b = 0; b < samples; ++b)
      for (std::int64_t c = 0; c < channels; ++c)
        for (std::int64_t i = 0; i < plane; ++i) {
          const auto at = static_cast<std::size_t>((b * channels + c) * plane + i);
          const double v = learned ? value(all, b, channels + c, i) : 0;
          const double fraction = (v + 1) / 2;
          const double log_variance =
              double{step.min_log_variance} + (learned ? fraction * double{step.log_variance_range} : 0);
          double x_before = double{step.x_scale} * double{before[at]};
          x_before += double{step.epsilon_scale} * value(all, b, c, i);
          if (step.adds_noise) x_before += std::exp(log_variance / 2) * double{given[at]};
          result.push_back(x_before);
        }
    return result;
  }

  void check() const {
    const auto one = run(1), three = run(3);
    CHECK(same_bits(one, three));
    const auto wanted = expected();
    CHECK(tests::relative_distance(one, wanted) < 3e-7);
    if (!guided) return;
    const auto half = static_cast<std::ptrdiff_t>(one.size() / 2);
    CHECK(std::vector<float>(one.begin(), one.begin() + half) == std::vector<float>(one.begin() + half, one.end()));
  }
};

TEST_CASE("a reverse step mixes x, epsilon and noise, and guides the first three channels") {
  ReverseCase().check();
  ReverseCase{.guided = false}.check();
  ReverseCase noiseless;
  noiseless.step.adds_noise = false;
  noiseless.check();
  ReverseCase fixed{.learned = false};
  fixed.step.log_variance_range = 0;
  fixed.check();
}

TEST_CASE("the first three channels of the output are guided, the variance among them where there are so few") {
  ReverseCase{.channels = 1}.check();
  ReverseCase{.channels = 2, .plane = 64}.check();
}

}  // namespace
}  // namespace gpumonth::ops
