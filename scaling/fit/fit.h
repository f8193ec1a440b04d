// A scaling curve fitted, and what it forecasts: the exact posterior of posterior.h for one curve of throughput.
// docs/method.md derives it.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "scaling/curve.h"
#include "scaling/fit/constants.h"
#include "scaling/fit/mean_functions.h"

namespace gpumonth::scaling {

constexpr double kUnknownBatch = std::numeric_limits<double>::quiet_NaN();

struct FitOptions {
  Constants constants;
  std::shared_ptr<const StepModel> components;  ///< from run logs; adds what measured parts predict
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

/// What the curve says of one kind of growth.
struct ShapeWeight {
  Growth growth = Growth::log_ranks;
  double prior = 0, weight = 0;  ///< probability before and after the curve was seen
  double slope = 0;              ///< posterior mean, log slowdown per doubling of ranks at the last point
};

/// What it says of the batch per rank: the share of the last point's step that a smaller batch does not shrink.
struct BatchShare {
  bool known = false;                    ///< the batch differs between points; else nothing tells, and the prior stands
  double none = 0;                       ///< probability that there is no such share: the batch does not matter
  double low = 0, median = 0, high = 0;  ///< 90 %
};

/// A point that may be an outlier, or a step between two points that may be a break.
struct Suspect {
  bool is_break = false;
  std::int64_t ranks = 0, to_ranks = 0;  ///< of the point; of a break from and to
  double probability = 0;
};

class Posterior;

class Fit {
 public:
  /// `batch_per_rank` NaN: the curve's global batch where that is fixed, else the batch at its most ranks.
  Prediction predict(std::int64_t ranks, double batch_per_rank = kUnknownBatch) const;
  /// Of the mean throughput per rank at one place over the same at another: `count` quantiles (i + 1/2) / count, ascending.
  /// What both share cancels.
  std::vector<double> ratio_per_rank(std::int64_t ranks, double batch_per_rank, std::int64_t reference,
                                     double reference_batch, std::size_t count) const;
  /// Log of the forecast density of log throughput at a measured value.
  double log_density(std::int64_t ranks, double batch_per_rank, double samples_per_s) const;
  /// Scaled from the point of most ranks: the baseline.
  double ideal(std::int64_t ranks) const;
  double efficiency(std::int64_t ranks, double samples_per_s) const;
  double default_batch(std::int64_t ranks) const;  ///< NaN where the curve has no batch

  const ScalingCurve& curve() const;                  ///< sorted
  const std::vector<ScalingGroup>& measured() const;  ///< groups(curve())
  std::vector<ShapeWeight> shapes() const;
  BatchShare batch_share() const;
  std::vector<Suspect> suspects() const;  ///< of probability 0.2 or more
  double noise() const;                   ///< of one measurement, relative: at the median roughness
  double discrepancy() const;             ///< of the level's walk, relative, per doubling of ranks: likewise
  const Constants& constants() const;
  const std::vector<std::string>& notes() const;

 private:
  friend Fit fit_curve(const ScalingCurve&, const FitOptions&);
  struct State;
  std::shared_ptr<const State> state_;
};

/// Throws UserError as check(curve) does. Milliseconds; the same input gives the same bits.
Fit fit_curve(const ScalingCurve& curve, const FitOptions& options = {});

/// What was fitted: growth and batch with their probabilities, suspects, constants.
std::string describe(const Fit& fit);

}  // namespace gpumonth::scaling
