// What the log of the rank-seconds of one sample can do with ranks and batch, relative to the curve's last point L:
//
//   f(N, b) = G(N / N_L) + B(b_L / b)
//
//   G, by its slope s per doubling at N_L, so that one prior serves all kinds:
//     saturating   s / ln 2 (1 - 1/r)                   paid once: from one rank to several, the first network hop
//     log N        s log2 r                             trees, hierarchical all-reduces
//     sqrt, linear log(1 - p + p r^a), p = s / (a ln 2)  accelerating, a = 1/2 and 1; a = 1 is Amdahl's law
//   B = log(1 - q + q b_L / b): q is the share of the last step that a smaller batch does not shrink; 0: the batch does
//     not matter. With q = 1 a rank's step takes the same time whatever its batch.
//
// G and B add up, so what grows with N is a share of each sample and is not multiplied by b_L / b.
#pragma once

#include <array>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "scaling/fit/constants.h"

namespace gpumonth::scaling {

enum class Growth { saturating, log_ranks, sqrt_ranks, linear, components };
inline constexpr std::array kGrowths{Growth::saturating, Growth::log_ranks, Growth::sqrt_ranks, Growth::linear};
std::string name(Growth growth);     ///< "log N"
std::string formula(Growth growth);  ///< what grows, for people

/// The step time that measured parts predict (scaling/fit/components.h), with its relative standard error.
struct StepForecast {
  double step_s = 0, relative_sd = 0;
};
using StepModel = std::function<StepForecast(double ranks, double batch_per_rank)>;

/// Where a curve is or is to be known: a batch of 1 where the curve has none.
struct Place {
  double ranks = 1, batch = 1;
};

/// One function of the grid, with its prior weight.
struct MeanFunction {
  Growth growth = Growth::log_ranks;
  double slope = 0;  ///< s; of components how many standard errors the parts are off
  double share = 0;  ///< q
  double log_prior = 0;
};

/// s and q on a fixed grid with their prior weights. `with_share` false: q = 0 alone, where the batch is the same
/// everywhere. `with_components`: measured parts as well, off by -2 to 2 of their standard errors.
std::vector<MeanFunction> mean_functions(const Constants& constants, bool with_share, bool with_components);

/// The grid of q and the log of its prior weights.
struct ShareGrid {
  std::vector<double> share, log_prior;
};
ShareGrid share_grid(const Constants& constants);

/// G of a growth but components, and B.
double growth(Growth kind, double slope, double ranks_over_last);
double batch_term(double share, double last_batch_over_batch);
/// Log of the rank-seconds of one sample by measured parts, off by `errors` standard errors.
double log_cost(const StepModel& parts, double errors, const Place& place);

}  // namespace gpumonth::scaling
