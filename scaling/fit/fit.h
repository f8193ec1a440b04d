// A scaling curve fitted, and what it forecasts.
//
// Not one shape by faith: every shape of scaling/fit/shapes.h is fitted with priors from physics
// (scaling/fit/priors.h) and a heavy-tailed noise around a level that may walk away from the shape
// (scaling/fit/level_filter.h). Shapes are weighted by prior weight x the product of the densities of each
// next point given those before it: rolling-origin validation within the curve. A forecast mixes them all.
// docs/method.md derives it.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "scaling/curve.h"
#include "scaling/fit/priors.h"
#include "scaling/fit/shapes.h"

namespace gpumonth::scaling {

constexpr double kUnknownBatch = std::numeric_limits<double>::quiet_NaN();

struct FitOptions {
  Priors priors;
  int draws_per_shape = 4000;
  std::uint64_t seed = 20240301;
  std::shared_ptr<const StepModel> components;  ///< from run logs; adds the component model to the shapes
};

/// A throughput at `ranks`, in the curve's unit.
struct Prediction {
  std::int64_t ranks = 0;
  double batch_per_rank = kUnknownBatch;  ///< NaN where the curve has none
  double samples_per_s = 0;               ///< median
  double low = 0, high = 0;               ///< 90 %: where one more measurement would be
  double mean_low = 0, mean_high = 0;     ///< 90 %: where the mean of many would be
  double efficiency = 0;                  ///< samples_per_s per rank over the same at the curve's fewest ranks
};

struct ShapeWeight {
  Growth growth = Growth::none;
  double prior = 0, weight = 0;
  double effective_draws = 0;  ///< of the importance sampling; below 100 the forecast is rough
  ShapeParameters median{};    ///< of the posterior: all_reduce, fixed, growth, kappa
};

class Fit {
 public:
  /// `batch_per_rank` NaN: the curve's global batch where that is fixed, else the batch at its most ranks.
  Prediction predict(std::int64_t ranks, double batch_per_rank = kUnknownBatch) const;
  /// Posterior draws of the mean throughput (no measuring noise), for Monte Carlo. The same seed gives the
  /// same bits.
  std::vector<double> draws(std::int64_t ranks, double batch_per_rank, std::size_t count, std::uint64_t seed) const;
  /// Log of the forecast density of log throughput at a measured value.
  double log_density(std::int64_t ranks, double batch_per_rank, double samples_per_s) const;
  /// Scaled from the point of most ranks: the baseline.
  double ideal(std::int64_t ranks) const;
  double efficiency(std::int64_t ranks, double samples_per_s) const;
  double default_batch(std::int64_t ranks) const;  ///< NaN where the curve has no batch

  const ScalingCurve& curve() const;                  ///< sorted
  const std::vector<ScalingGroup>& measured() const;  ///< groups(curve())
  const std::vector<ShapeWeight>& shapes() const;
  double noise() const;        ///< posterior median, relative
  double discrepancy() const;  ///< posterior median, relative, per doubling of ranks
  const Priors& priors() const;
  const std::vector<std::string>& notes() const;

 private:
  friend Fit fit_curve(const ScalingCurve&, const FitOptions&);
  struct State;
  std::shared_ptr<const State> state_;
};

/// Throws UserError as check(curve) does. Under a second on one core; the same input gives the same bits.
Fit fit_curve(const ScalingCurve& curve, const FitOptions& options = {});

/// What was fitted: shapes with weights, priors with their sources, noise and discrepancy.
std::string describe(const Fit& fit);

}  // namespace gpumonth::scaling
