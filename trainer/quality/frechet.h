// The Frechet distance between two sets of features, each taken for a normal distribution: of D. C. Dowson and B. V. Landau,
// "The Frechet distance between multivariate normal distributions", J. Multivariate Analysis 12, 1982, as Heusel et al.,
// arXiv:1706.08500, report it (FID), that is, squared:
//
//   d^2 = |m_a - m_b|^2 + tr(S_a + S_b - 2 (S_a S_b)^(1/2))
//
// with means m and covariances S.
#pragma once

#include <cstdint>
#include <vector>

namespace gpumonth::trainer {

using Features = std::vector<std::vector<double>>;  ///< (N, d)

/// N >= 2 in both, d the same. 0 where means and covariances are the same.
double frechet_distance(const Features& a, const Features& b);

struct FrechetResult {
  double distance = 0;
  double low = 0, high = 0;  ///< 90 %
  double floor = 0;
};

/// Of `samples` from `truth`, each feature in units of its standard deviation in `truth` (a constant one as it is). The
/// interval is the spread of 200 bootstrap samples of `samples` about their mean, laid about the distance: how much other
/// samples of the same sampler would differ. Too few samples make the distance too large; by how much says the floor: the
/// mean distance from `truth` of as many true samples, over disjoint sets out of `more_truth`, which has at least as many.
FrechetResult frechet(const Features& samples, const Features& truth, const Features& more_truth);

}  // namespace gpumonth::trainer
