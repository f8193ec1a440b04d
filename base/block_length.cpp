#include "base/block_length.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace gpumonth {
namespace {

constexpr std::size_t kLongSeries = 16384;  // steps, beyond which blocks are of groups of steps

/// Autocovariance at `lag`.
double autocovariance(std::span<const double> x, double mean, std::size_t lag) {
  double sum = 0;
  for (std::size_t i = 0; i + lag < x.size(); ++i) sum += (x[i] - mean) * (x[i + lag] - mean);
  return sum / static_cast<double>(x.size());
}

/// Autocovariances, each computed when it is first asked for: most series need few.
class Autocovariances {
 public:
  Autocovariances(std::span<const double> x, double mean) : x_(x), mean_(mean) {}
  double operator[](std::size_t lag) {
    while (known_.size() <= lag) known_.push_back(autocovariance(x_, mean_, known_.size()));
    return known_[lag];
  }

 private:
  std::span<const double> x_;
  double mean_;
  std::vector<double> known_;
};

/// The first lag, up to `longest`, after which `quiet` lags in a row are not significant.
std::size_t correlation_length(Autocovariances& covariance, std::size_t longest, std::size_t quiet, double limit) {
  for (std::size_t lag = 0; lag + quiet <= longest; ++lag) {
    bool all_quiet = true;
    for (std::size_t k = 1; k <= quiet && all_quiet; ++k)
      all_quiet = std::abs(covariance[lag + k]) < limit * covariance[0];
    if (all_quiet) return lag;
  }
  return longest;
}

/// Means of neighbours, `group` at a time; what is left over at the end is left out.
std::vector<double> coarsened(std::span<const double> series, std::size_t group) {
  std::vector<double> means(series.size() / group, 0);
  for (std::size_t i = 0; i < means.size() * group; ++i) means[i / group] += series[i] / static_cast<double>(group);
  return means;
}

}  // namespace

std::size_t usual_block(std::size_t rows) {
  return static_cast<std::size_t>(std::max(1.0, std::round(std::cbrt(static_cast<double>(rows)))));
}

std::size_t block_length(std::span<const double> series) {
  const std::size_t n = series.size();
  const double size = static_cast<double>(n);
  if (n > kLongSeries) {
    const std::size_t group = (n + kLongSeries - 1) / kLongSeries;
    return group * block_length(coarsened(series, group));
  }
  if (n < 16) return std::min(usual_block(n), std::max<std::size_t>(1, n / 3));
  double mean = 0;
  for (const double x : series) mean += x / size;
  const auto quiet = static_cast<std::size_t>(std::max(5.0, std::ceil(std::sqrt(std::log10(size)))));
  const auto longest = std::min(n / 2, static_cast<std::size_t>(std::ceil(std::sqrt(size))) + quiet);
  Autocovariances covariance(series, mean);
  if (!(covariance[0] > 1e-24 * mean * mean)) return 1;  // constant, up to rounding
  const std::size_t m = correlation_length(covariance, longest, quiet, 2 * std::sqrt(std::log10(size) / size));
  const std::size_t width = std::min(std::max<std::size_t>(2 * m, 1), longest);
  double g = 0, spectrum = covariance[0];
  for (std::size_t lag = 1; lag <= width; ++lag) {
    const double t = static_cast<double>(lag) / static_cast<double>(width);
    const double window = t <= 0.5 ? 1 : 2 * (1 - t);  // flat-top
    g += 2 * window * static_cast<double>(lag) * covariance[lag];
    spectrum += 2 * window * covariance[lag];
  }
  if (!(spectrum > 0)) return 1;
  const double length = std::cbrt(2 * g * g / (4.0 / 3 * spectrum * spectrum) * size);
  const double most = std::min(3 * std::sqrt(size), size / 3);
  return static_cast<std::size_t>(std::clamp(std::round(length), 1.0, std::floor(most)));
}

}  // namespace gpumonth
