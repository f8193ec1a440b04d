// What else one could forecast a scaling curve with, fitted the way it is usually done: free least squares,
// no priors. They take throughput against ranks and know nothing of the batch.
#pragma once

#include <string>
#include <vector>

#include "scaling/curve.h"

namespace gpumonth::scaling {

enum class Baseline { ideal, amdahl, usl, extrap };
constexpr Baseline kBaselines[] = {Baseline::ideal, Baseline::amdahl, Baseline::usl, Baseline::extrap};
std::string name(Baseline baseline);

/// Throughput at `ranks`, from the median of each rank count of a checked, sorted curve.
///
///   ideal   the last point, scaled with N
///   amdahl  X = x1 N / (1 + s (N-1)), 0 <= s                                     (Amdahl 1967)
///   usl     X = x1 N / (1 + s (N-1) + k N (N-1)), 0 <= s, 0 <= k                  (Gunther 1993)
///   extrap  N / X = c0 + c1 N^i log2(N)^j over the exponents of Extra-P, the pair with the smallest leave-one-out error,
///           or the constant where that is not worse                                     (Calotoiu et al. 2013)
///
/// amdahl and usl minimise relative residuals with Ceres under those bounds. Two rank counts are enough for all.
double forecast(Baseline baseline, const ScalingCurve& curve, std::int64_t ranks);

}  // namespace gpumonth::scaling
