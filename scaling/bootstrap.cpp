#include "scaling/bootstrap.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <stdexcept>

#include "base/block_length.h"
#include "base/quantile.h"

namespace gpumonth::scaling {
namespace {

/// To first order the logarithm of the ratio of two sums moves with the mean of these, which is 1: around 1, so that
/// block_length() can tell a constant series from rounding.
std::vector<double> moves_of(std::span<const double> numerator, std::span<const double> denominator) {
  const auto size = static_cast<double>(numerator.size());
  double top = 0, bottom = 0;
  for (const double value : numerator) top += value / size;
  for (const double value : denominator) bottom += value / size;
  std::vector<double> moves;
  for (std::size_t i = 0; i < numerator.size(); ++i) moves.push_back(1 + numerator[i] / top - denominator[i] / bottom);
  return moves;
}

}  // namespace

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
  draw_blocks(rows(), block, random, [&](std::size_t start, std::size_t count) { add_block(start, count, sums); });
  return sums;
}

Interval bootstrap_ratio(std::span<const double> numerator, std::span<const double> denominator, int resamples) {
  const std::size_t n = numerator.size();
  if (n == 0 || denominator.size() != n) throw std::invalid_argument("bootstrap of nothing");
  BlockSums sums(2);
  for (std::size_t i = 0; i < n; ++i) sums.add(std::array{numerator[i], denominator[i]});
  std::mt19937_64 random(20240301);  // its sequence is fixed by the C++ standard
  const std::size_t block = block_length(moves_of(numerator, denominator));
  std::vector<double> ratios;
  ratios.reserve(static_cast<std::size_t>(resamples));
  for (int r = 0; r < resamples; ++r) {
    const auto drawn = sums.draw(block, random);
    ratios.push_back(drawn[0] / drawn[1]);
  }
  return {quantile(ratios, 0.05), quantile(ratios, 0.95)};
}

double ratio_log_error(std::span<const double> numerator, std::span<const double> denominator) {
  const std::size_t n = numerator.size();
  if (n < 2) return std::numeric_limits<double>::quiet_NaN();
  const double size = static_cast<double>(n);
  const std::vector<double> moves = moves_of(numerator, denominator);
  const std::size_t block = block_length(moves);
  double sum = 0, squares = 0;
  for (std::size_t i = 0; i < block; ++i) sum += moves[i] - 1;
  for (std::size_t i = 0; i < n; ++i) {  // `sum` is that of the block that starts at i
    squares += sum * sum;
    sum += moves[(i + block) % n] - moves[i];
  }
  return std::sqrt(squares / size / (size * static_cast<double>(block)));
}

}  // namespace gpumonth::scaling
