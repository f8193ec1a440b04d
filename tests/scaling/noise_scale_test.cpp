// The gradient noise scale of made-up gradients whose mean and covariance are known: the estimate, its interval and what is
// not told. By hand: |G|^2 and S from two norms.
#include "scaling/noise_scale.h"

#include <cmath>
#include <limits>
#include <vector>

#include "base/random.h"
#include "tests/catch.h"
#include "tests/command.h"

using namespace gpumonth;
using gpumonth::scaling::noise_scale, gpumonth::scaling::NoiseScale;
using gpumonth::tests::contains;

namespace {

constexpr std::int64_t kBatch = 32;

runlog::Run empty_run(std::int64_t small_batch) {
  runlog::Run run;
  run.info.small_batch = small_batch;
  return run;
}

void add_step(runlog::Run& run, double small_square, double square, std::int64_t samples = kBatch) {
  runlog::StepRecord step;
  step.step = static_cast<std::int64_t>(run.steps.size()) + 1;
  step.samples = samples;
  step.small_grad_norm = std::sqrt(small_square);
  step.grad_norm = std::sqrt(square);
  run.steps.push_back(step);
}

/// A step of `small` gradients of `dimensions` components, each the mean over kBatch / small samples. The true gradient is
/// `length` along the first component, one sample's variance of every component is `variance`.
void draw_step(runlog::Run& run, NormalDraws& draws, int small, int dimensions, double length, double variance) {
  const double deviation = std::sqrt(variance * small / kBatch);
  std::vector<double> whole(static_cast<std::size_t>(dimensions), 0);
  double squares = 0;
  for (int i = 0; i < small; ++i)
    for (int d = 0; d < dimensions; ++d) {
      const double g = (d == 0 ? length : 0) + deviation * draws();
      squares += g * g / small;
      whole[static_cast<std::size_t>(d)] += g / small;
    }
  double square = 0;
  for (const double g : whole) square += g * g;
  add_step(run, squares, square);
}

runlog::Run drawn_run(std::uint64_t seed, int steps, int small, double variance = 2) {
  NormalDraws draws(seed);
  runlog::Run run = empty_run(kBatch / small);
  for (int s = 0; s < steps; ++s) draw_step(run, draws, small, 50, 1, variance);
  return run;
}

TEST_CASE("from two norms by hand") {
  runlog::Run run = empty_run(8);
  for (int s = 0; s < 60; ++s) add_step(run, 5, 2);  // |g_8|^2 = 5, |g_32|^2 = 2
  const NoiseScale scale = noise_scale(run);
  CHECK(scale.steps == 30);
  CHECK(scale.first_step == 31);
  CHECK(scale.last_step == 60);
  CHECK(scale.squared_gradient == Approx((32 * 2 - 8 * 5) / 24.0));
  CHECK(scale.trace == Approx((5 - 2) / (1 / 8.0 - 1 / 32.0)));
  CHECK(scale.samples == Approx(32));
  CHECK(scale.interval.low == Approx(32));
  CHECK(scale.interval.high == Approx(32));
  CHECK_THAT(to_text(scale),
             contains("gradient noise scale 32 samples (90 % interval 32 to 32), over steps 31 to 60, from gradients "
                      "of 8 and 32 samples"));
}

TEST_CASE("the planted noise scale of 100 samples, by 2, 4 and 32 small gradients") {
  for (const int small : {2, 4, 32}) {
    INFO(small << " small gradients");
    const NoiseScale scale = noise_scale(drawn_run(7, 8000, small));
    CHECK(scale.samples == Approx(100).epsilon(0.05));
    CHECK(scale.trace == Approx(100).epsilon(0.02));
    CHECK(scale.squared_gradient == Approx(1).epsilon(0.05));
    CHECK(scale.interval.low < scale.samples);
    CHECK(scale.interval.high > scale.samples);
    CHECK(scale.interval.high - scale.interval.low < 20);
  }
}

TEST_CASE("the interval holds the planted value in 85 to 95 % of 300 runs") {
  int inside = 0;
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    const NoiseScale scale = noise_scale(drawn_run(seed, 300, 2));
    inside += scale.interval.low <= 100 && 100 <= scale.interval.high;
  }
  INFO(inside << " of 300");
  CHECK(inside >= 255);
  CHECK(inside <= 285);
}

TEST_CASE("only the last half of the steps counts: the noise scale grows as a model learns") {
  runlog::Run run = drawn_run(3, 2000, 4, 0.1);
  NormalDraws draws(4);
  for (int s = 0; s < 4000; ++s) draw_step(run, draws, 4, 50, 1, 2);
  CHECK(noise_scale(run).samples == Approx(100).epsilon(0.1));
}

TEST_CASE("a gradient that drowns in noise has a scale without an upper end") {
  const NoiseScale scale = noise_scale(drawn_run(5, 60, 2, 2000));
  CHECK(scale.steps == 30);
  CHECK(std::isinf(scale.interval.high));
  const std::string text = to_text(scale);
  CHECK((text.find("above") != std::string::npos || text.find("not known") != std::string::npos));
  CHECK(text.find("inf") == std::string::npos);
}

TEST_CASE("what a log does not tell is not told") {
  CHECK(noise_scale(empty_run(8)).steps == 0);
  CHECK(to_text(noise_scale(drawn_run(1, 30, 2))).empty());  // 15 steps
  runlog::Run without = drawn_run(1, 300, 2);
  without.info.small_batch = 0;
  CHECK(noise_scale(without).steps == 0);
  runlog::Run whole = drawn_run(1, 300, 2);
  whole.info.small_batch = kBatch;  // no step has smaller gradients
  CHECK(noise_scale(whole).steps == 0);
  runlog::Run same = empty_run(8);
  for (int s = 0; s < 100; ++s) add_step(same, 2, 2);
  CHECK(noise_scale(same).steps == 0);
}

TEST_CASE("steps without finite norms, and the one at which a run diverged, are left out") {
  runlog::Run run = drawn_run(2, 300, 2);
  const NoiseScale before = noise_scale(run);
  for (const double bad : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    runlog::Run broken = run;
    broken.steps[200].small_grad_norm = bad;
    broken.steps[201].grad_norm = bad;
    const NoiseScale scale = noise_scale(broken);
    CHECK(scale.steps == before.steps - 2);
    CHECK(std::isfinite(scale.samples));
  }
}

}  // namespace
