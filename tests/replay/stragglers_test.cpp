#include "replay/stragglers.h"

#include <algorithm>
#include <boost/math/distributions/normal.hpp>
#include <cmath>
#include <random>

#include "replay/replayed_steps.h"
#include "tests/catch.h"
#include "tests/replay/samples.h"

using namespace gpumonth;
using namespace gpumonth::replay;
using gpumonth::tests::contains;

namespace {

/// Expected maximum of n standard normals, by integration of n x phi(x) Phi(x)^(n-1).
double expected_maximum(int n) {
  const boost::math::normal normal;
  double sum = 0;
  constexpr double kStep = 1e-3;
  for (double x = -9; x <= 9; x += kStep) sum += x * n * pdf(normal, x) * std::pow(cdf(normal, x), n - 1) * kStep;
  return sum;
}

}  // namespace

TEST_CASE("the slowest of N drawn ranks takes what the closed form says") {
  const Spread spread{0.03, 0.04};
  for (const int ranks : {8, 64, 512, 4096, 16384}) {
    // the persistent part is drawn once a seed; the more ranks, the less their maximum scatters
    const int seeds = std::clamp(400000 / ranks, 40, 4000);
    constexpr int kSteps = 3;
    double sum = 0;
    for (int seed = 1; seed <= seeds; ++seed) {
      const Stragglers drawn(spread, static_cast<std::uint64_t>(seed));
      for (int step = 1; step <= kSteps; ++step) {
        double slowest = 0;
        for (int rank = 0; rank < ranks; ++rank) slowest = std::max(slowest, drawn.factor(step, rank));
        sum += slowest / (seeds * kSteps);
      }
    }
    INFO(ranks << " ranks");
    CHECK(sum == Approx(1 + 0.05 * expected_maximum(ranks)).epsilon(0.005));
  }
}

TEST_CASE("a persistent straggler is one in every step, a jitter in none") {
  const Stragglers persistent({0.05, 0}, 3), jitter({0, 0.05}, 3);
  double mean = 0, square = 0;
  constexpr int kRanks = 20000;
  for (int rank = 0; rank < kRanks; ++rank) {
    const double factor = persistent.factor(1, rank);
    REQUIRE(persistent.factor(1000000, rank) == factor);
    mean += factor / kRanks;
    square += (factor - 1) * (factor - 1) / kRanks;
  }
  CHECK(mean == Approx(1).margin(4 * 0.05 / std::sqrt(kRanks)));
  CHECK(std::sqrt(square) == Approx(0.05).epsilon(0.03));
  double over_steps = 0;
  for (int step = 1; step <= kRanks; ++step) over_steps += jitter.factor(step, 5) / kRanks;
  CHECK(over_steps == Approx(1).margin(4 * 0.05 / std::sqrt(kRanks)));
  CHECK(jitter.factor(1, 5) != jitter.factor(2, 5));
  CHECK(jitter.factor(1, 5) != jitter.factor(1, 6));
  CHECK(Stragglers({0.05, 0.05}, 4).factor(1, 5) != Stragglers({0.05, 0.05}, 3).factor(1, 5));
  CHECK(Stragglers({0, 10}, 1).factor(1, 1) >= 0.1);
}

TEST_CASE("what was put into a log's ranks is found again") {
  constexpr int kRanks = 64, kRows = 400;
  constexpr double kPersistent = 0.03, kPerStep = 0.05;
  runlog::Run run = samples::run(kRanks, kRows + 3);
  std::mt19937_64 random(5);
  std::normal_distribution<double> normal;
  std::vector<double> rank_factor;
  double sum = 0, squares = 0;
  for (int r = 0; r < kRanks; ++r) {
    rank_factor.push_back(kPersistent * normal(random));
    sum += rank_factor.back();
    squares += rank_factor.back() * rank_factor.back();
  }
  const double drawn = std::sqrt((squares - sum * sum / kRanks) / (kRanks - 1));
  for (int i = 4; i <= kRows + 3; ++i) {
    const double common = 1 + 0.3 * std::abs(normal(random));  // slows all ranks alike: no straggler
    run.rank_steps.push_back(i);
    for (int r = 0; r < kRanks; ++r)
      run.rank_step_time_s.push_back(
          static_cast<float>(0.05 * (common + rank_factor[static_cast<std::size_t>(r)] + kPerStep * normal(random))));
  }
  const Recording recording = record({run});
  const double mean = 1 + 0.3 * std::sqrt(2 / std::acos(-1.0));  // the shares are of the mean busy time
  CHECK(recording.spread.persistent == Approx(drawn / mean).epsilon(0.05));
  CHECK(recording.spread.per_step == Approx(kPerStep / mean).epsilon(0.03));

  // and stragglers off leaves rank 0 as it was
  const ReplayedSteps on(recording, {}, 1), off(recording, {.stragglers = false}, 1);
  CHECK(off.at(5, 0).backward_s == 30e-3);
  CHECK(off.at(5, 63).backward_s == 30e-3);
  CHECK(on.at(5, 0).backward_s != on.at(5, 1).backward_s);
  CHECK(on.at(5, 0).other_s == off.at(5, 0).other_s);
}

TEST_CASE("one GPU's log has no spread; one that is given is drawn") {
  const Recording recording = record({samples::run()});
  REQUIRE(recording.spread.persistent == 0);
  WhatIf changes;
  set_stragglers(changes, " 0.03, 0.01 ");
  const ReplayedSteps steps(recording, changes, 3);
  double mean = 0, square = 0;
  constexpr int kRanks = 4000;
  for (int r = 0; r < kRanks; ++r) {
    const double factor = steps.factor(1, r);
    mean += factor / kRanks;
    square += factor * factor / kRanks;
  }
  CHECK(mean == Approx(1).margin(0.002));
  CHECK(std::sqrt(square - mean * mean) == Approx(std::hypot(0.03, 0.01)).epsilon(0.05));
  CHECK(to_text(changes) == "stragglers of 3 % between ranks and 1 % from step to step, assumed");

  set_stragglers(changes, "off");
  CHECK(ReplayedSteps(recording, changes, 3).factor(1, 7) == 1);
  for (const char* wrong : {"yes", "0.02", "0.02,0.01,0", "2,1", "-0.1,0", ""})
    CHECK_THROWS_WITH(set_stragglers(changes, wrong), contains("give on, off, or two shares"));
}
