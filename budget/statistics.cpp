#include "budget/statistics.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <stdexcept>
#include <vector>

#include "base/quantile.h"

namespace gpumonth::budget {

Interval bootstrap_ratio(std::span<const double> numerator, std::span<const double> denominator,
                         int resamples) {
  const std::size_t n = numerator.size();
  if (n == 0 || denominator.size() != n) throw std::invalid_argument("bootstrap of nothing");
  const auto block = static_cast<std::size_t>(std::max(1.0, std::round(std::cbrt(static_cast<double>(n)))));
  std::mt19937_64 random(20240301);  // its sequence is fixed by the C++ standard
  std::vector<double> ratios;
  ratios.reserve(static_cast<std::size_t>(resamples));
  for (int r = 0; r < resamples; ++r) {
    double top = 0, bottom = 0;
    for (std::size_t drawn = 0; drawn < n;) {
      const std::size_t start = random() % n;
      for (std::size_t i = 0; i < block && drawn < n; ++i, ++drawn) {
        top += numerator[(start + i) % n];
        bottom += denominator[(start + i) % n];
      }
    }
    ratios.push_back(top / bottom);
  }
  return {quantile(ratios, 0.05), quantile(ratios, 0.95)};
}

}  // namespace gpumonth::budget
