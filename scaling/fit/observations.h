// The points of a curve as the fit takes them: in order, as logarithms, and not too many.
#pragma once

#include <string>
#include <vector>

#include "scaling/curve.h"

namespace gpumonth::scaling {

struct Observation {
  double ranks = 1, batch = 1;  ///< batch 1 where the curve has none
  double log_cost = 0;          ///< log(ranks / samples_per_s): rank-seconds per sample
};

/// At most about `most` observations, in the order of sort(). Of many repeats their evenly spaced quantiles
/// stay, which keeps their spread; of many rank counts the median of each of 24 equal parts of log N. Says so
/// in `notes`.
std::vector<Observation> observations(const ScalingCurve& curve, std::vector<std::string>& notes,
                                      std::size_t most = 48);

}  // namespace gpumonth::scaling
