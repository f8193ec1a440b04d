// What the tests of CUDA ops share: the Cpu op's result is what is expected, and a failed check names the
// worst element.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <sstream>
#include <string>
#include <vector>

#include "tests/catch.h"
#include "tests/trainer/cuda/gpu.h"
#include "tests/trainer/ops/device_memory.h"
#include "tests/trainer/ops/reference.h"
#include "trainer/ops/bf16.h"

namespace gpumonth::tests {

/// How far the backends may be apart: nvcc and the CPU's compiler fuse different multiply-adds, and sums are
/// taken in another order.
struct Tolerance {
  double distance;  ///< relative, in the Euclidean norm
  double element;   ///< of one element, relative to its size + the root mean square of all
};

constexpr Tolerance kExactTolerance = {0, 0};
constexpr Tolerance kFp32Tolerance = {1e-6, 1e-5};  ///< a few roundings of fp32
constexpr Tolerance kSumTolerance = {5e-6, 5e-5};   ///< sums of hundreds of fp32 numbers of either sign
/// Both round the same number but for 1e-7 of it, so few elements differ, and those by one unit in the last place.
constexpr Tolerance kBf16Tolerance = {1e-3, 8e-3};

/// Of the result of one op in type T.
template <class T>
constexpr Tolerance rounded_once() {
  return sizeof(T) == 2 ? kBf16Tolerance : kFp32Tolerance;
}

inline double as_double(double x) { return x; }
inline double as_double(float x) { return double{x}; }
inline double as_double(ops::bf16 x) { return double{ops::to_float(x)}; }

template <class T>
void check_close(const std::string& what, const std::vector<T>& got, const std::vector<T>& expected,
                 Tolerance tolerance) {
  REQUIRE(got.size() == expected.size());
  if (got.empty()) return;
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double e = as_double(expected[i]), d = as_double(got[i]) - e;
    difference += d * d;
    size += e * e;
  }
  const double rms = std::sqrt(size / static_cast<double>(got.size()));
  std::size_t worst = 0, wrong = 0;
  double worst_difference = -1;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double e = as_double(expected[i]), d = std::abs(as_double(got[i]) - e);
    const double relative = d == 0          ? 0
                            : std::isnan(d) ? std::numeric_limits<double>::infinity()
                                            : d / (std::abs(e) + rms);
    wrong += relative > tolerance.element ? 1 : 0;
    if (relative > worst_difference) {
      worst_difference = relative;
      worst = i;
    }
  }
  const double distance = difference == 0 ? 0 : std::sqrt(difference / size);
  std::ostringstream text;
  text.precision(9);
  text << what << ": " << wrong << " of " << got.size() << " elements too far off; worst [" << worst << "]: GPU "
       << as_double(got[worst]) << ", CPU " << as_double(expected[worst]) << "; relative distance " << distance;
  INFO(text.str());
  const bool near_enough = distance <= tolerance.distance && worst_difference <= tolerance.element;
  CHECK(near_enough);
}

/// Two runs with the same inputs.
template <class T>
void check_same_bits(const std::string& what, const std::vector<T>& first, const std::vector<T>& second) {
  INFO(what << ": a second run gave other bits");
  CHECK(same_bits(first, second));
}

/// GPU memory that an op writes.
template <class T>
class Output : public OutputOn<ops::Cuda, T> {
 public:
  explicit Output(std::int64_t count) : OutputOn<ops::Cuda, T>(gpu(), count) {}
  explicit Output(const std::vector<T>& values) : OutputOn<ops::Cuda, T>(gpu(), values) {}
};

}  // namespace gpumonth::tests
