#include "trainer/ops/grad_norm.h"

#include <cmath>
#include <limits>

#include "tests/catch.h"
#include "tests/trainer/ops/values.h"

namespace gpumonth::ops {
namespace {

double norm_squared(const std::vector<float>& values, int threads) {
  Cpu cpu{threads};
  const auto n = static_cast<std::int64_t>(values.size());
  std::vector<double> scratch(static_cast<std::size_t>(sum_of_squares_scratch(n)), NAN);
  double sum = NAN;
  sum_of_squares(cpu, values.data(), n, scratch.data(), &sum);
  return sum;
}

TEST_CASE("sum_of_squares agrees with double precision and does not depend on the thread count") {
  for (const std::int64_t n : {0L, 1L, 17L, 65536L, 65537L, 5 * 65536L + 13}) {
    CAPTURE(n);
    const auto values = tests::random_values(n, 3, 2.5f);
    long double exact = 0;
    for (const float v : values) exact += static_cast<long double>(v) * static_cast<long double>(v);
    const double one = norm_squared(values, 1);
    CHECK(one == Approx(static_cast<double>(exact)).epsilon(1e-13));
    CHECK(norm_squared(values, 2) == one);
    CHECK(norm_squared(values, 3) == one);
  }
}

TEST_CASE("a NaN anywhere reaches the norm") {
  auto values = tests::random_values(200000, 4);
  values[150001] = std::numeric_limits<float>::quiet_NaN();
  CHECK(std::isnan(norm_squared(values, 2)));
}

TEST_CASE("clip_scale clips as torch does") {
  CHECK(clip_scale(4.0, 1.0) == Approx(0.25).epsilon(1e-6));
  CHECK(clip_scale(0.5, 1.0) == 1.0);
  CHECK(clip_scale(4.0, 0.0) == 1.0);
  CHECK(clip_scale(0.0, 1.0) == 1.0);
}

}  // namespace
}  // namespace gpumonth::ops
