// Rolling origin: every curve of throughput with at least 4 rank counts, cut after its third, fourth, ... rank count, and
// the later places that are to be forecast.
#pragma once

#include <vector>

#include "scaling/curve.h"

namespace gpumonth::scaling {

constexpr std::size_t kMinTrain = 3;  ///< rank counts

struct Cut {
  ScalingCurve train;
  std::vector<ScalingGroup> later;
};
/// Empty for a curve of fewer rank counts. The curve is checked and sorted.
std::vector<Cut> cuts(const ScalingCurve& curve);

}  // namespace gpumonth::scaling
