// Runs of one budget of compute side by side: the loss over the size of the model is close to a parabola in log N, whose
// lowest point is the size to train with that compute (Hoffmann et al., arXiv 2203.15556, approach 2).
#pragma once

#include <cstddef>
#include <limits>
#include <span>
#include <vector>

#include "scaling/loss/loss_runs.h"

namespace gpumonth::scaling {

/// Runs that differ by less in their compute had the same budget.
constexpr double kSameBudget = 0.05;
constexpr std::size_t kFewestSizes = 3;  ///< of a parabola

/// The lowest point of a parabola through losses; NaN where it bends the other way.
struct Parabola {
  double parameters = std::numeric_limits<double>::quiet_NaN();
  double tokens = std::numeric_limits<double>::quiet_NaN();
  double loss = std::numeric_limits<double>::quiet_NaN();
  bool bends_up = false;
};

struct IsoflopBudget {
  double model_flops = 0;         ///< mean of its runs
  std::vector<std::size_t> runs;  ///< places in the list, by size
  std::size_t sizes = 0;          ///< different ones
  Parabola lowest;
  bool inside = false;  ///< the lowest point lies between the smallest and the largest size that was run
};

/// Budgets that kFewestSizes different sizes share, by compute; the runs of others are in none.
std::vector<IsoflopBudget> isoflop_budgets(std::span<const LossRun> runs);

/// Least squares of log_losses (all runs', in order of the list) over log N; tokens from a parabola of log D.
Parabola parabola_of(const IsoflopBudget& budget, std::span<const LossRun> runs, std::span<const double> log_losses);

/// y = scale x C^exponent by least squares in logarithms; NaN from fewer than two compute values.
struct PowerLaw {
  double scale = std::numeric_limits<double>::quiet_NaN(), exponent = std::numeric_limits<double>::quiet_NaN();
};
PowerLaw fit_power_law(std::span<const double> x, std::span<const double> y);

}  // namespace gpumonth::scaling
