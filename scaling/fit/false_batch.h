// Does a fit believe a batch that causes nothing? Curves whose batch never changes are given a false column of it; the
// throughput is left as it is, and forecasts should be what they were.
#pragma once

#include <string>
#include <vector>

#include "scaling/curve.h"

namespace gpumonth::scaling {

struct FalseBatch {
  const char* name;  ///< "as in strong scaling: 256 N0/N"
  /// The batch per rank of a point, from its ranks over the curve's fewest and the point's number in all.
  double (*batch)(double ranks_over_first, std::uint64_t point);
};
const std::vector<FalseBatch>& false_batches();

/// Of these the curves of throughput whose batch is the same on all points, or unknown: with this column, 0 the first of
/// false_batches(), -1 with none.
std::vector<ScalingCurve> with_false_batch(const std::vector<ScalingCurve>& curves, int column);

}  // namespace gpumonth::scaling
