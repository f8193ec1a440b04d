// How well what is known was predicted: both back-tests, of costs and of sampling times, end with it.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/quantile.h"

namespace gpumonth::budget {

struct BacktestScore {
  double median_error = 0;  ///< median of |ratio - 1|
  double coverage = 0;      ///< share of rows whose disclosed number lies in the 90 % interval
  std::size_t inside = 0;   ///< how many these are
  double median_width = 1;  ///< of the intervals: upper end over lower end
  /// Mean over the rows of log(width) + 20 log(miss), Gneiting and Raftery 2007 at 90 % on logarithms: less is better, and
  /// neither wide intervals nor misses come free.
  double interval_score = 0;
};

constexpr double kPerMiss = 2 / 0.1;  ///< 2 / alpha of a 90 % interval

/// Of at least one row.
template <class Row>
BacktestScore score_of(const std::vector<Row>& rows) {
  BacktestScore score;
  std::vector<double> errors, widths;
  for (const auto& row : rows) {
    errors.push_back(std::abs(row.ratio() - 1));
    widths.push_back(row.width());
    score.inside += row.covered() ? 1 : 0;
    score.interval_score +=
        (std::log(row.width()) + kPerMiss * std::log(row.miss())) / static_cast<double>(rows.size());
  }
  score.median_error = quantile(errors, 0.5);
  score.median_width = quantile(widths, 0.5);
  score.coverage = static_cast<double>(score.inside) / static_cast<double>(rows.size());
  return score;
}

/// "Median error 25 %; 12 of 14 disclosed costs lie in their 90 % interval (86 %), whose upper end is ..."
inline std::string to_text(const BacktestScore& score, std::size_t rows, const char* what) {
  return fmt::format(
      "Median error {:.0f} %; {} of {} disclosed {} lie in their 90 % interval ({:.0f} %), whose upper end is {:.1f} times "
      "the lower (median); interval score {:.1f}.\n",
      100 * score.median_error, score.inside, rows, what, 100 * score.coverage, score.median_width,
      score.interval_score);
}

inline Json to_json(const BacktestScore& score) {
  return {{"median_error", score.median_error},
          {"coverage", score.coverage},
          {"median_width", score.median_width},
          {"interval_score", score.interval_score}};
}

}  // namespace gpumonth::budget
