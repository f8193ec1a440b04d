// How the ranks' busy times of one step differ: ranks that are always slower, and jitter from step to step.
#pragma once

#include <span>
#include <vector>

#include "runlog/record.h"

namespace gpumonth::runlog {

/// Of busy times x(row, rank), a row a sampled step. Sums, so that a bootstrap can add up blocks of rows.
struct BusySums {
  double rows = 0;
  std::vector<double> mean_s;  ///< (ranks): over rows
  double squares = 0;          ///< over rows and ranks of (x(row, rank) - mean over ranks of x(row))^2, s^2
};

/// Sum over ranks of (x(rank) - mean)^2, s^2.
double squares_around_mean(std::span<const float> busy_s);

/// Of the steady steps of a log of several ranks; without rows where there are none.
BusySums busy_sums(const Run& run);

/// Squares over ranks of their means, and over steps around them, of busy time relative to its mean, of all runs. What
/// slows all ranks alike is no straggler: each row's squares are around its own mean. Those of the ranks' means in every
/// row are the persistent part, what is left the jitter.
struct BusySpread {
  double between = 0, between_freedom = 0, within = 0, within_freedom = 0;
  double noise = 0;          ///< what jitter adds to `between`, over its variance: ranks - 1 over rows, summed
  double drawn_freedom = 0;  ///< of `within` where the rows were drawn with replacement: (n-1)/n of it

  void add(const BusySums& of_run);  ///< fewer than two rows or ranks say nothing
  bool known() const { return between_freedom > 0; }
  double per_step_variance() const { return within / within_freedom; }
  /// Between ranks, of a mean square between ranks' means and one within.
  double persistent_variance(double between_square, double within_square) const;
  double persistent_variance() const { return persistent_variance(between / between_freedom, per_step_variance()); }
};

}  // namespace gpumonth::runlog
