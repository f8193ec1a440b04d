#include "budget/compare/block_bootstrap.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "base/quantile.h"

namespace gpumonth::budget {
namespace {

/// Autocovariance at `lag`.
double autocovariance(std::span<const double> x, double mean, std::size_t lag) {
  double sum = 0;
  for (std::size_t i = 0; i + lag < x.size(); ++i) sum += (x[i] - mean) * (x[i + lag] - mean);
  return sum / static_cast<double>(x.size());
}

/// The first lag after which `quiet` lags in a row are not significant.
std::size_t correlation_length(const std::vector<double>& covariance, std::size_t quiet, double limit) {
  for (std::size_t lag = 0; lag + quiet < covariance.size(); ++lag) {
    bool all_quiet = true;
    for (std::size_t k = 1; k <= quiet; ++k)
      all_quiet &= std::abs(covariance[lag + k]) < limit * covariance[0];
    if (all_quiet) return lag;
  }
  return covariance.size() - 1;
}

}  // namespace

std::size_t block_length(std::span<const double> series) {
  const std::size_t n = series.size();
  const double size = static_cast<double>(n);
  const auto simple = static_cast<std::size_t>(std::max(1.0, std::round(std::cbrt(size))));
  if (n < 16) return std::min(simple, std::max<std::size_t>(1, n / 3));
  double mean = 0;
  for (const double x : series) mean += x / size;
  const auto quiet = static_cast<std::size_t>(std::max(5.0, std::ceil(std::sqrt(std::log10(size)))));
  const auto longest = std::min(n / 2, static_cast<std::size_t>(std::ceil(std::sqrt(size))) + quiet);
  std::vector<double> covariance;
  for (std::size_t lag = 0; lag <= longest; ++lag) covariance.push_back(autocovariance(series, mean, lag));
  if (!(covariance[0] > 1e-24 * mean * mean)) return 1;  // constant, up to rounding
  const std::size_t m = correlation_length(covariance, quiet, 2 * std::sqrt(std::log10(size) / size));
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

double median_log_error(std::span<const double> values, int resamples) {
  const std::size_t n = values.size();
  if (n < 2) return std::numeric_limits<double>::quiet_NaN();
  std::vector<double> drawn(values.begin(), values.end());
  const double median = quantile_in_place(drawn, 0.5);
  std::vector<double> above;
  for (const double value : values) above.push_back(value > median ? 1 : 0);
  const std::size_t block = block_length(above);
  std::mt19937_64 random(20240301);  // its sequence is fixed by the C++ standard
  double sum = 0, squares = 0;
  for (int r = 0; r < resamples; ++r) {
    drawn.clear();
    while (drawn.size() < n) {
      const std::size_t start = random() % n;
      for (std::size_t i = 0; i < block && drawn.size() < n; ++i) drawn.push_back(values[(start + i) % n]);
    }
    const double log_ratio = std::log(quantile_in_place(drawn, 0.5) / median);
    sum += log_ratio;
    squares += log_ratio * log_ratio;
  }
  const double count = resamples;
  return std::sqrt(std::max(0.0, squares - sum * sum / count) / (count - 1));
}

}  // namespace gpumonth::budget
