#include "scaling/compare/contrast.h"

#include <cmath>
#include <random>

#include "base/block_length.h"
#include "scaling/bootstrap.h"
#include "tests/catch.h"
#include "tests/scaling/compare/synthetic.h"

using namespace gpumonth;

TEST_CASE("one contrast of two means with their own variances is Welch's t", "[contrast]") {
  // Means 10 and 12, variances 4 and 9, of 5 and 8 values: se^2 = 4/5 + 9/8 = 1.925,
  // f = 1.925^2 / (0.8^2 / 4 + 1.125^2 / 7) = 10.873.
  const Eigen::Vector2d means(10, 12), first(1.0 / 5, 0), second(0, 1.0 / 8), contrast(1, -1);
  const std::vector<scaling::NoiseComponent> noise = {{first, 4, 4}, {second, 9, 7}};
  const auto error = scaling::contrast_error(contrast, noise);
  CHECK(error.standard_error == Approx(std::sqrt(1.925)));
  CHECK(error.freedom == Approx(10.8732).epsilon(1e-4));
  CHECK(error.t(0.9) == Approx(1.7977).epsilon(1e-3));  // tables: 1.812 at 10, 1.796 at 11
  const auto test = scaling::test_contrasts(contrast.transpose(), means, noise);
  CHECK(test.statistic == Approx(4 / 1.925));
  CHECK(test.freedom == Approx(error.freedom));
  CHECK(test.p_value == Approx(error.p_value(2)).epsilon(1e-9));
}

TEST_CASE("with one variance the test is the F of a linear model", "[contrast]") {
  // Three means of 4 values, equal but for the last: between squares 4 x 2/3, variance 1: F = 4 x (2/3) / 2.
  Eigen::MatrixXd L(2, 3);
  L << 1, -1, 0, 1, 0, -1;
  const Eigen::Vector3d means(0, 0, 1), weight(0.25, 0.25, 0.25);
  const auto test = scaling::test_contrasts(L, means, {{weight, 1, 9}});
  CHECK(test.contrasts == 2);
  CHECK(test.freedom == Approx(9));
  CHECK(test.statistic == Approx(4.0 * 2 / 3 / 2));
  // P(F(2, f) > x) = (1 + 2 x / f)^(-f / 2)
  CHECK(test.p_value == Approx(std::pow(1 + 2 * test.statistic / 9, -4.5)).epsilon(1e-9));
}

TEST_CASE("power meets its own noncentrality and the normal limit", "[contrast]") {
  CHECK(scaling::power_of_f(0, 1, 10, 0.1) == Approx(0.1));
  for (const int contrasts : {1, 3}) {
    const double needed = scaling::noncentrality_for(0.8, contrasts, 8, 0.1);
    CHECK(scaling::power_of_f(needed, contrasts, 8, 0.1) == Approx(0.8).epsilon(1e-6));
  }
  // Many degrees of freedom: (z_0.95 + z_0.80)^2 = (1.6449 + 0.8416)^2; the other tail adds less than 0.1 %.
  CHECK(scaling::noncentrality_for(0.8, 1, 1e4, 0.1) == Approx(6.1826).epsilon(2e-3));
  CHECK(std::isnan(scaling::noncentrality_for(0.8, 1, 1, 1e-6)));
}

TEST_CASE("a run knows the error of its throughput, also of steps that are alike", "[contrast]") {
  std::mt19937_64 random(11);
  for (const double correlation : {0.0, 0.6}) {
    constexpr int kRuns = 200, kSteps = 120;
    double sum = 0, squares = 0, stated = 0;
    for (int i = 0; i < kRuns; ++i) {
      const auto times_s = tests::ar1_steps(0.1, 0.05, correlation, kSteps, random);
      double total_s = 0;
      for (const double time_s : times_s) total_s += time_s;
      const double log_throughput = std::log(kSteps / total_s);
      sum += log_throughput;
      squares += log_throughput * log_throughput;
      stated += scaling::ratio_log_error(std::vector<double>(kSteps, 8.0), times_s) / kRuns;
    }
    const double truth = std::sqrt((squares - sum * sum / kRuns) / (kRuns - 1));
    INFO("correlation " << correlation << ": truth " << truth << ", stated " << stated);
    // The truth from 200 runs has an error of 1 / sqrt(2 x 200) = 5 %; blocks of a short series miss some of
    // the dependence: up to 15 % at 120 steps.
    CHECK(stated / truth == Approx(1).margin(0.25));
    if (correlation == 0) CHECK(truth == Approx(0.05 / std::sqrt(kSteps)).epsilon(0.15));
  }
}

TEST_CASE("the error without draws is what draws of blocks scatter by", "[contrast]") {
  std::mt19937_64 random(12);
  constexpr std::size_t kSteps = 300;
  const auto times_s = tests::ar1_steps(0.1, 0.1, 0.7, kSteps, random);
  std::vector<double> samples, moves;
  for (std::size_t i = 0; i < kSteps; ++i) samples.push_back(i % 2 ? 4 : 12);  // a batch that changes
  double all_samples = 0, all_s = 0;
  for (std::size_t i = 0; i < kSteps; ++i) all_samples += samples[i], all_s += times_s[i];
  for (std::size_t i = 0; i < kSteps; ++i)
    moves.push_back(1 + kSteps * (samples[i] / all_samples - times_s[i] / all_s));
  const std::size_t block = block_length(moves);
  constexpr int kDraws = 4000;
  double sum = 0, squares = 0;
  for (int r = 0; r < kDraws; ++r) {
    double drawn_samples = 0, drawn_s = 0;
    for (std::size_t drawn = 0; drawn < kSteps;) {
      const std::size_t start = random() % kSteps;
      for (std::size_t i = 0; i < block && drawn < kSteps; ++i, ++drawn) {
        drawn_samples += samples[(start + i) % kSteps];
        drawn_s += times_s[(start + i) % kSteps];
      }
    }
    const double log_throughput = std::log(drawn_samples / drawn_s);
    sum += log_throughput;
    squares += log_throughput * log_throughput;
  }
  const double scatter = std::sqrt((squares - sum * sum / kDraws) / (kDraws - 1));
  // 4,000 draws know a standard deviation within 1 / sqrt(8000) = 1.1 %, three of them; and the last block is cut.
  CHECK(scaling::ratio_log_error(samples, times_s) == Approx(scatter).epsilon(0.05));
}

TEST_CASE("blocks are longer where neighbours are alike", "[contrast]") {
  std::mt19937_64 random(3);
  const auto alone = tests::ar1_steps(1, 0.1, 0, 400, random), alike = tests::ar1_steps(1, 0.1, 0.9, 400, random);
  CHECK(block_length(alone) <= 4);
  CHECK(block_length(alike) >= 10);
  CHECK(block_length(std::vector<double>(50, 1.0)) == 1);
  CHECK(block_length(std::vector<double>{1, 2}) == 1);
  const std::vector<double> same(50, 0.1), one(1, 0.1);
  CHECK(scaling::ratio_log_error(same, same) == Approx(0).margin(1e-12));
  CHECK(std::isnan(scaling::ratio_log_error(one, one)));
}
