// How well what is known was predicted: both back-tests, of costs and of sampling times, end with it.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "base/quantile.h"

namespace gpumonth::budget {

struct BacktestScore {
  double median_error = 0;  ///< median of |ratio - 1|
  double coverage = 0;      ///< share of rows whose disclosed number lies in the 90 % interval
  std::size_t inside = 0;   ///< how many these are
};

/// Of at least one row.
template <class Row>
BacktestScore score_of(const std::vector<Row>& rows) {
  BacktestScore score;
  std::vector<double> errors;
  for (const auto& row : rows) {
    errors.push_back(std::abs(row.ratio() - 1));
    score.inside += row.covered() ? 1 : 0;
  }
  score.median_error = quantile(errors, 0.5);
  score.coverage = static_cast<double>(score.inside) / static_cast<double>(rows.size());
  return score;
}

/// "Median error 25 %; 12 of 14 disclosed costs lie in their 90 % interval (86 %)."
inline std::string to_text(const BacktestScore& score, std::size_t rows, const char* what) {
  return fmt::format("Median error {:.0f} %; {} of {} disclosed {} lie in their 90 % interval ({:.0f} %).\n",
                     100 * score.median_error, score.inside, rows, what, 100 * score.coverage);
}

}  // namespace gpumonth::budget
