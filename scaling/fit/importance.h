// Draws from a posterior whose prior is a standard normal, by adaptive importance sampling.
//
// Every parameter is a function of one standard normal u_i, so that the prior needs no bounds and no scales.
// A Student-t proposal (5 degrees of freedom; 10 % of the draws come from the prior itself, so that weights
// stay bounded by the likelihood) is fitted to weighted draws in rounds, with the likelihood raised to a
// power that rises to 1 as fast as the effective sample size allows (Del Moral et al. 2006 for the tempering;
// Cappe et al. 2008 for the adaptation).
#pragma once

#include <Eigen/Dense>
#include <cstdint>
#include <functional>

namespace gpumonth::scaling {

struct WeightedDraws {
  Eigen::MatrixXd u;        ///< (dimension, draws)
  Eigen::VectorXd weight;   ///< (draws), sums to 1
  double log_evidence = 0;  ///< log of the likelihood's mean over the prior
  double effective_draws = 0;
};

/// `log_likelihood` of one u; -inf is allowed, NaN is not. The same arguments give the same bits.
WeightedDraws importance_sample(int dimension, const std::function<double(const double* u)>& log_likelihood, int draws,
                                std::uint64_t seed);

}  // namespace gpumonth::scaling
