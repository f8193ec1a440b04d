#include "base/quantile.h"

#include <algorithm>
#include <cstddef>
#include <stdexcept>

namespace gpumonth {
namespace {

struct Place {
  std::size_t below = 0;
  double share = 0;  // of the way to the next value
};

Place place_of(std::size_t n, double q) {
  if (n == 0) throw std::invalid_argument("quantile of nothing");
  const double place = q * static_cast<double>(n - 1);
  const auto below = static_cast<std::size_t>(place);
  return {below, place - static_cast<double>(below)};
}

}  // namespace

double quantile_of_sorted(std::span<const double> ascending, double q) {
  const auto [below, share] = place_of(ascending.size(), q);
  const std::size_t above = std::min(below + 1, ascending.size() - 1);
  return ascending[below] + share * (ascending[above] - ascending[below]);
}

double quantile_in_place(std::span<double> values, double q) {
  const auto [below, share] = place_of(values.size(), q);
  const auto at = values.begin() + static_cast<std::ptrdiff_t>(below);
  std::nth_element(values.begin(), at, values.end());
  if (at + 1 == values.end()) return *at;
  return *at + share * (*std::min_element(at + 1, values.end()) - *at);
}

double quantile(std::vector<double> values, double q) { return quantile_in_place(values, q); }

}  // namespace gpumonth
