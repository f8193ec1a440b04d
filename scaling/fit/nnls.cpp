// On plain vectors: six columns need no matrix library, whose QR took this file longer to compile than the posterior.
#include "scaling/fit/nnls.h"

#include <algorithm>
#include <cmath>
#include <optional>

namespace gpumonth::scaling {
namespace {

using Column = std::vector<double>;

double dot(const Column& a, const Column& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

void subtract(Column& from, double factor, const Column& what) {
  for (std::size_t i = 0; i < from.size(); ++i) from[i] -= factor * what[i];
}

struct Solution {
  std::vector<double> x;
  double cost = 0;  ///< |A x - b|^2
};

/// Modified Gram-Schmidt on columns of length 1, b as one column more, which is as stable as Householder's QR (Bjorck
/// 1967). Nothing where the columns depend on each other.
std::optional<Solution> least_squares(std::vector<Column> q, Column b) {
  constexpr double kDependent = 1e-13;  // of a column, what may be left of it once the others are taken out
  const std::size_t n = q.size();
  std::vector<double> r(n * n), x(n), scale(n);
  for (std::size_t j = 0; j < n; ++j) {
    scale[j] = std::sqrt(dot(q[j], q[j]));
    if (scale[j] < 1e-300) return {};
    for (double& value : q[j]) value /= scale[j];
  }
  for (std::size_t j = 0; j < n; ++j) {
    const double length = std::sqrt(dot(q[j], q[j]));
    if (length < kDependent) return {};
    for (double& value : q[j]) value /= length;
    r[j * n + j] = length;
    for (std::size_t k = j + 1; k < n; ++k) {
      r[j * n + k] = dot(q[j], q[k]);
      subtract(q[k], r[j * n + k], q[j]);
    }
    x[j] = dot(q[j], b);
    subtract(b, x[j], q[j]);
  }
  for (std::size_t j = n; j-- > 0;) {
    for (std::size_t k = j + 1; k < n; ++k) x[j] -= r[j * n + k] * x[k];
    x[j] /= r[j * n + j];
  }
  for (std::size_t j = 0; j < n; ++j) x[j] /= scale[j];
  return Solution{x, dot(b, b)};
}

}  // namespace

std::vector<double> non_negative_least_squares(std::span<const std::vector<double>> columns,
                                               const std::vector<double>& b) {
  std::vector<double> best(columns.size());
  double best_cost = dot(b, b);
  for (unsigned subset = 1; subset < (1u << columns.size()); ++subset) {
    std::vector<std::size_t> members;
    std::vector<Column> part;
    for (std::size_t j = 0; j < columns.size(); ++j)
      if (subset >> j & 1u) members.push_back(j), part.push_back(columns[j]);
    const auto found = least_squares(part, b);
    if (!found || std::ranges::any_of(found->x, [](double x) { return x < 0; })) continue;
    if (found->cost >= best_cost * (1 - 1e-9) - 1e-24) continue;
    best_cost = found->cost;
    best.assign(columns.size(), 0.0);
    for (std::size_t j = 0; j < members.size(); ++j) best[members[j]] = found->x[j];
  }
  return best;
}

}  // namespace gpumonth::scaling
