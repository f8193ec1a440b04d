// The likelihood of a curve given its shape: a robust local level model (Harvey 1989, ch. 2).
//
//   log(N_i/X_i) - log s(N_i, b_i) = level_i + noise_i
//   level_i = level_(i-1) + w_i,  w_i ~ Normal(0, tau^2 d_i),  d_i = |log2 N_i/N_(i-1)| + k^2 |log2
//   b_i/b_(i-1)| noise_i ~ sigma x (0.85 Normal(0, 1) + 0.12 Normal(0, 3^2) + 0.03 Normal(0, 10^2))
//
// The level starts flat (unknown compute time c). Its walk is the discrepancy: the truth leaves every simple
// shape, the more so the further away, so that the variance of a forecast grows with log(N/N_max). The
// mixture is a heavy-tailed noise (Tukey's contaminated normal) that leaves one bad point without much
// weight; after each point the posterior of the level is collapsed to its first two moments (generalised
// pseudo-Bayes of first order; Bar-Shalom et al. 2001, 11.6). The likelihood is by construction the product
// of one-step-ahead densities: a rolling-origin validation.
#pragma once

#include <array>
#include <span>

namespace gpumonth::scaling {

constexpr std::array<double, 3> kNoiseShare{0.85, 0.12, 0.03};
constexpr std::array<double, 3> kNoiseScale{1, 3, 10};

/// The level after some points: Normal(mean, variance).
struct Level {
  double mean = 0, variance = 0;
};

/// The level after the first residual alone.
Level start_level(double residual, double sigma);

/// The level after one more residual at distance `d` (already times tau^2); returns the log density of that
/// residual before it was seen.
double update(Level& level, double residual, double walk_variance, double sigma);

/// Distribution function and density of a new measured residual, `walk_variance` away from the level.
double noise_cdf(double x, const Level& level, double walk_variance, double sigma);
double noise_density(double x, const Level& level, double walk_variance, double sigma);

}  // namespace gpumonth::scaling
