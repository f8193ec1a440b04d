// Naive double arithmetic that the ops are held against: inputs are rounded to the op's type first, so that
// only the op's own rounding is left to see.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "tests/trainer/ops/values.h"
#include "trainer/ops/bf16.h"

namespace gpumonth::tests {

using Doubles = std::vector<double>;

/// The values rounded to T.
template <class T>
std::vector<T> typed(const std::vector<float>& values) {
  std::vector<T> result(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) result[i] = ops::from_float<T>(values[i]);
  return result;
}

template <class T>
Doubles doubles(const std::vector<T>& values) {
  Doubles result(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) result[i] = double{ops::to_float(values[i])};
  return result;
}

inline double dot(const Doubles& a, const Doubles& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

/// d loss / d x[i] for every i by central differences in double; error about 1e-9 where loss and x are of
/// order 1.
inline Doubles central_differences(Doubles x, const std::function<double(const Doubles&)>& loss) {
  constexpr double kStep = 1e-5;
  Doubles gradient(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double middle = x[i];
    x[i] = middle + kStep;
    const double above = loss(x);
    x[i] = middle - kStep;
    const double below = loss(x);
    x[i] = middle;
    gradient[i] = (above - below) / (2 * kStep);
  }
  return gradient;
}

/// The derivative of `loss` at x along `direction`.
inline double central_difference_along(const Doubles& x, const Doubles& direction,
                                       const std::function<double(const Doubles&)>& loss) {
  constexpr double kStep = 1e-5;
  Doubles above = x, below = x;
  for (std::size_t i = 0; i < x.size(); ++i) {
    above[i] += kStep * direction[i];
    below[i] -= kStep * direction[i];
  }
  return (loss(above) - loss(below)) / (2 * kStep);
}

/// Relative L2 distance that one rounding to T and a few hundred fp32 sums may make.
template <class T>
constexpr double rounding() {
  return sizeof(T) == 2 ? 4e-3 : 2e-6;
}

}  // namespace gpumonth::tests
