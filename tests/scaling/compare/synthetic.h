// Sets of runs with known noise, between runs and within them.
#pragma once

#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <random>
#include <vector>

#include "base/quantile.h"
#include "scaling/compare/compare.h"

namespace gpumonth::tests {

struct SyntheticSet {
  std::vector<std::int64_t> ranks = {1, 2, 4, 8};
  int repeats = 3;
  double between = 0.01;     ///< standard deviation of log throughput from run to run
  double growth = 1;         ///< of `between` from the fewest ranks to the most
  double within = 0.03;      ///< the same of a single step
  double correlation = 0.5;  ///< of a step with the next: AR(1)
  int steps = 60;
  double loss_per_doubling = 0.02;
  double planted = 0;  ///< relative loss of efficiency at every rank count but the fewest
  double speed = 100;  ///< samples/s of one rank
};

inline std::vector<double> ar1_steps(double mean_s, double deviation, double correlation, int steps,
                                     std::mt19937_64& random) {
  std::normal_distribution<double> normal;
  std::vector<double> times_s;
  double state = normal(random);
  for (int i = 0; i < steps; ++i) {
    times_s.push_back(mean_s * std::exp(deviation * state));
    state = correlation * state + std::sqrt(1 - correlation * correlation) * normal(random);
  }
  return times_s;
}

inline scaling::RunSet draw(const SyntheticSet& s, std::mt19937_64& random) {
  std::normal_distribution<double> normal;
  scaling::RunSet set;
  set.name = "synthetic";
  constexpr double kBatch = 8;
  for (int r = 0; r < s.repeats; ++r)
    for (const auto n : s.ranks) {
      const double doublings = std::log2(static_cast<double>(n) / static_cast<double>(s.ranks.front()));
      double efficiency = 1 - s.loss_per_doubling * doublings;
      const double share =
          doublings / std::log2(static_cast<double>(s.ranks.back()) / static_cast<double>(s.ranks.front()));
      const double between = s.between * (1 + (s.growth - 1) * share);
      if (n > s.ranks.front()) efficiency *= 1 - s.planted;
      const double step_s = kBatch / (s.speed * efficiency * std::exp(between * normal(random)));
      double mean_s = 0;
      for (const double time_s : ar1_steps(step_s, s.within, s.correlation, s.steps, random))
        mean_s += time_s / s.steps;
      scaling::MeasuredRun& run = set.runs.emplace_back();
      run.ranks = n;
      run.batch_per_rank = kBatch;
      run.samples_per_s = static_cast<double>(n) * kBatch / mean_s;
    }
  return set;
}

}  // namespace gpumonth::tests
