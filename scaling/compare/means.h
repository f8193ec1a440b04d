// The matched points of two sets as one vector of means with its noise.
#pragma once

#include <vector>

#include "scaling/compare/compare.h"
#include "scaling/compare/match.h"

namespace gpumonth::scaling {

/// The two sets as one vector of cell means: matched cell i of A is i, of B is size + i.
struct Means {
  std::vector<MatchedCell> matched;
  std::vector<Cell> a, b;
  Eigen::VectorXd logs;                ///< of samples/s per rank
  std::vector<NoiseComponent> noise;   ///< for one contrast
  std::vector<NoiseComponent> pooled;  ///< for many at once: one spread per set

  Eigen::Index size() const { return static_cast<Eigen::Index>(matched.size()); }
  Eigen::Index baseline(Eigen::Index i) const {
    return static_cast<Eigen::Index>(matched[static_cast<std::size_t>(i)].baseline);
  }
  const Cell& cell(Eigen::Index i) const {
    return i < size() ? a[matched[static_cast<std::size_t>(i)].a] : b[matched[static_cast<std::size_t>(i - size())].b];
  }
};

/// Sets the noise of `means` and of both sets in `comparison`: measured where runs repeat, else the other
/// set's, else assumed.
void set_noise(Means& means, Comparison& comparison);

/// Adds to the notes what a reader should know about that noise.
void note_noise(Comparison& comparison);

}  // namespace gpumonth::scaling
