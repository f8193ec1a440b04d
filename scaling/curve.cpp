#include "scaling/curve.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/quantile.h"
#include "scaling/throughput_unit.h"

namespace gpumonth::scaling {
namespace {

bool same_place(const ScalingPoint& a, const ScalingPoint& b) {
  return a.ranks == b.ranks &&
         (a.batch_per_rank == b.batch_per_rank || (std::isnan(a.batch_per_rank) && std::isnan(b.batch_per_rank)));
}

std::string place(const ScalingCurve& curve, const ScalingPoint& point) {
  return fmt::format("curve '{}', {} ranks{}", curve.name, point.ranks,
                     point.run.empty() ? "" : " (" + point.run + ")");
}

}  // namespace

bool has_batch(const ScalingCurve& curve) {
  return !curve.points.empty() && std::none_of(curve.points.begin(), curve.points.end(),
                                               [](const auto& p) { return std::isnan(p.batch_per_rank); });
}

void check(const ScalingCurve& curve) {
  if (curve.points.empty()) user_error("curve '{}' has no points: give at least one measured throughput", curve.name);
  if (const auto why = why_no_throughput(curve.unit); !why.empty()) user_error("curve '{}': {}", curve.name, why);
  std::size_t without_batch = 0;
  for (const auto& p : curve.points) {
    if (p.ranks < 1) user_error("{}: the number of ranks must be at least 1", place(curve, p));
    if (!(p.samples_per_s > 0) || !std::isfinite(p.samples_per_s))
      user_error("{}: the throughput is {}, it must be positive and finite: leave out runs that failed",
                 place(curve, p), p.samples_per_s);
    if (std::isnan(p.batch_per_rank)) {
      ++without_batch;
    } else if (!(p.batch_per_rank > 0) || !(p.batch_per_rank <= kLargestBatch)) {
      user_error("{}: the batch per rank is {}, it must be positive and at most {:g}, or left empty where unknown",
                 place(curve, p), p.batch_per_rank, kLargestBatch);
    }
  }
  if (without_batch != 0 && without_batch != curve.points.size())
    user_error("curve '{}': {} of {} points do not say their batch per rank: give it for all or for none", curve.name,
               without_batch, curve.points.size());
}

void sort(ScalingCurve& curve) {
  std::stable_sort(curve.points.begin(), curve.points.end(), [](const auto& a, const auto& b) {
    return a.ranks != b.ranks ? a.ranks < b.ranks : a.batch_per_rank > b.batch_per_rank;
  });
}

std::vector<ScalingGroup> groups(const ScalingCurve& curve) {
  ScalingCurve sorted = curve;
  sort(sorted);
  std::vector<ScalingGroup> result;
  const auto& points = sorted.points;
  for (std::size_t i = 0; i < points.size();) {
    std::vector<double> repeats;
    const std::size_t first = i;
    for (; i < points.size() && same_place(points[i], points[first]); ++i) repeats.push_back(points[i].samples_per_s);
    const auto [low, high] = std::minmax_element(repeats.begin(), repeats.end());
    result.push_back({points[first].ranks, points[first].batch_per_rank, quantile(repeats, 0.5), *high / *low - 1,
                      repeats.size(), points[first].origin});
  }
  return result;
}

}  // namespace gpumonth::scaling
