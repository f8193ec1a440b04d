#include "scaling/bootstrap.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <random>
#include <stdexcept>

#include "base/quantile.h"

namespace gpumonth::scaling {

void BlockSums::add(std::span<const double> row) {
  for (const double value : row) before_.push_back(before_[before_.size() - columns_] + value);
}

void BlockSums::add_block(std::size_t start, std::size_t count, std::span<double> sums) const {
  const std::size_t straight = std::min(count, rows() - start), wrapped = count - straight;
  const double *first = &before_[start * columns_], *last = &before_[(start + straight) * columns_],
               *round = &before_[wrapped * columns_];
  for (std::size_t c = 0; c < columns_; ++c) sums[c] += last[c] - first[c] + round[c];
}

std::vector<double> BlockSums::draw(std::size_t block, std::mt19937_64& random) const {
  std::vector<double> sums(columns_, 0);
  const std::size_t n = rows();
  for (std::size_t drawn = 0; drawn < n; drawn += block) add_block(random() % n, std::min(block, n - drawn), sums);
  return sums;
}

Interval bootstrap_ratio(std::span<const double> numerator, std::span<const double> denominator, int resamples) {
  const std::size_t n = numerator.size();
  if (n == 0 || denominator.size() != n) throw std::invalid_argument("bootstrap of nothing");
  BlockSums sums(2);
  for (std::size_t i = 0; i < n; ++i) sums.add(std::array{numerator[i], denominator[i]});
  std::mt19937_64 random(20240301);  // its sequence is fixed by the C++ standard
  std::vector<double> ratios;
  ratios.reserve(static_cast<std::size_t>(resamples));
  for (int r = 0; r < resamples; ++r) {
    const auto drawn = sums.draw(usual_block(n), random);
    ratios.push_back(drawn[0] / drawn[1]);
  }
  return {quantile(ratios, 0.05), quantile(ratios, 0.95)};
}

}  // namespace gpumonth::scaling
