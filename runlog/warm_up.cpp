#include "runlog/warm_up.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/quantile.h"

namespace gpumonth::runlog {
namespace {

std::vector<double> clipped(std::span<const double> times) {
  const std::vector<double> half(times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2), times.end());
  const double middle = quantile(half, 0.5);
  std::vector<double> distances;
  for (const double t : half) distances.push_back(std::abs(t - middle));
  const double limit = middle + 5 * 1.4826 * quantile(distances, 0.5) + 1e-3 * middle;
  std::vector<double> result;
  for (const double t : times) result.push_back(std::min(t, limit) - middle);  // so that equal times are exactly 0
  return result;
}

}  // namespace

std::size_t warm_up_length(std::span<const double> step_times_s) {
  const std::size_t n = step_times_s.size();
  if (n < 8) return 0;
  const std::vector<double> x = clipped(step_times_s);
  double sum = 0, squares = 0, best = INFINITY;
  std::size_t length = 0;
  for (std::size_t d = n; d-- > 0;) {
    sum += x[d];
    squares += x[d] * x[d];
    if (d > n / 2) continue;
    const auto kept = static_cast<double>(n - d);
    const double error = std::max(0.0, squares / kept - (sum / kept) * (sum / kept)) / kept;
    if (error <= best) {  // the shortest of equals
      best = error;
      length = d;
    }
  }
  if (length == 0) return 0;
  const auto cut = x.begin() + static_cast<std::ptrdiff_t>(length);
  return quantile({x.begin(), cut}, 0.5) > quantile({cut, x.end()}, 0.75) ? length : 0;
}

}  // namespace gpumonth::runlog
