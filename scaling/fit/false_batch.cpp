#include "scaling/fit/false_batch.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/random.h"
#include "scaling/throughput_unit.h"

namespace gpumonth::scaling {
namespace {

bool has_one_batch(const ScalingCurve& curve) {
  if (curve.points.empty() || !is_throughput(curve.unit)) return false;
  if (!has_batch(curve)) return true;
  return std::all_of(curve.points.begin(), curve.points.end(),
                     [&](const auto& p) { return p.batch_per_rank == curve.points.front().batch_per_rank; });
}

}  // namespace

const std::vector<FalseBatch>& false_batches() {
  static const std::vector<FalseBatch> all = {
      {"256 N0/N, as in strong scaling", [](double r, std::uint64_t) { return 256 / r; }},
      {"64 sqrt(N0/N)", [](double r, std::uint64_t) { return 64 / std::sqrt(r); }},
      {"one of 2, 4, 8, 16, 32 at random",
       [](double, std::uint64_t point) { return std::exp2(1 + std::floor(5 * NormalDraws(point + 1).uniform())); }}};
  return all;
}

std::vector<ScalingCurve> with_false_batch(const std::vector<ScalingCurve>& curves, int column) {
  std::vector<ScalingCurve> result;
  std::uint64_t number = 0;
  for (ScalingCurve curve : curves) {
    if (!has_one_batch(curve)) continue;
    sort(curve);
    const auto first = static_cast<double>(curve.points.front().ranks);
    double ranks_before = 0, batch = std::numeric_limits<double>::quiet_NaN();
    for (auto& p : curve.points) {
      const auto ranks = static_cast<double>(p.ranks);
      if (column >= 0 && ranks != ranks_before)  // repeats are repeats
        batch = false_batches()[static_cast<std::size_t>(column)].batch(ranks / first, ++number);
      ranks_before = ranks;
      p.batch_per_rank = batch;
    }
    result.push_back(curve);
  }
  return result;
}

}  // namespace gpumonth::scaling
