// How well a ratio of sums over steps is known.
#pragma once

#include <algorithm>
#include <cstddef>
#include <random>
#include <span>
#include <vector>

#include "base/block_length.h"

namespace gpumonth::scaling {

/// As many of n rows as there are, drawn in blocks of `block` (circular moving-block bootstrap; Kuensch 1989, Politis &
/// Romano 1992): take(start, count) rows from `start` on, round the end to the start; the last block is cut. n >= 1.
template <class Take>
void draw_blocks(std::size_t n, std::size_t block, std::mt19937_64& random, const Take& take) {
  for (std::size_t drawn = 0; drawn < n; drawn += block) take(random() % n, std::min(block, n - drawn));
}

/// Sums over neighbouring rows of a table, round its end to its start: a bootstrap of blocks adds up blocks, and so
/// takes one number per block and column instead of one per row. (rows, columns), row-major.
class BlockSums {
 public:
  explicit BlockSums(std::size_t columns) : columns_(columns), before_(columns, 0) {}
  /// `row`: one value per column.
  void add(std::span<const double> row);
  std::size_t rows() const { return before_.size() / columns_ - 1; }
  /// Adds the sums of rows [start, start + count) to `sums`; start < rows(), count <= rows().
  void add_block(std::size_t start, std::size_t count, std::span<double> sums) const;
  std::vector<double> total() const { return {before_.end() - static_cast<std::ptrdiff_t>(columns_), before_.end()}; }
  /// Of draw_blocks().
  std::vector<double> draw(std::size_t block, std::mt19937_64& random) const;

 private:
  std::size_t columns_;
  std::vector<double> before_;  ///< (rows + 1, columns): sums of the rows before this one
};

struct Interval {
  double low, high;
};

/// 90 % interval of sum(numerator) / sum(denominator) by draws of blocks (block_length()). Seeded: the same log gives
/// the same interval. One step gives an interval without width, which says nothing.
Interval bootstrap_ratio(std::span<const double> numerator, std::span<const double> denominator, int resamples = 2000);

/// Standard error of log(sum(numerator) / sum(denominator)), all positive, by a circular moving-block bootstrap
/// (Kuensch, Annals of Statistics 17, 1989). To first order the logarithm moves by the mean of n_i / mean(n) - d_i /
/// mean(d); the bootstrap's variance of that mean is known without a draw: n / b blocks of b values are drawn out of n,
/// so it is mean(square of a block's sum) / (n b). b is block_length() of that series. Fewer than 2 values give NaN.
double ratio_log_error(std::span<const double> numerator, std::span<const double> denominator);

}  // namespace gpumonth::scaling
