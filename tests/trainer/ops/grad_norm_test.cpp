#include "trainer/ops/grad_norm.h"

#include <cmath>
#include <limits>

#include "tests/catch.h"
#include "tests/trainer/ops/values.h"

namespace gpumonth::ops {
namespace {

std::vector<double> partials(const std::vector<float>& values, int threads) {
  Cpu cpu{threads};
  const auto n = static_cast<std::int64_t>(values.size());
  std::vector<double> partial(static_cast<std::size_t>(norm_blocks(n)), NAN);
  squares_by_block(cpu, values.data(), n, 0, norm_blocks(n), partial.data());
  return partial;
}

Clipping clipping_of(const std::vector<float>& values, int threads, double clip_norm = 0) {
  Cpu cpu{threads};
  const auto partial = partials(values, threads);
  Clipping result;
  clipping(cpu, partial.data(), static_cast<std::int64_t>(partial.size()), clip_norm, &result);
  return result;
}

TEST_CASE("the norm agrees with double precision and does not depend on the thread count") {
  for (const std::int64_t n : {0L, 1L, 17L, 65536L, 65537L, 5 * 65536L + 13}) {
    CAPTURE(n);
    const auto values = tests::random_values(n, 3, 2.5f);
    long double exact = 0;
    for (const float v : values) exact += static_cast<long double>(v) * static_cast<long double>(v);
    const Clipping one = clipping_of(values, 1);
    CHECK(one.norm == Approx(static_cast<double>(std::sqrt(exact))).epsilon(1e-13));
    CHECK(one.finite == 1);
    CHECK(clipping_of(values, 2).norm == one.norm);
    CHECK(clipping_of(values, 3).norm == one.norm);
  }
}

TEST_CASE("a range of blocks gives the partial sums of the whole") {
  const auto values = tests::random_values(5 * 65536 + 13, 3);
  const auto n = static_cast<std::int64_t>(values.size());
  const auto whole = partials(values, 1);
  Cpu cpu{2};
  std::vector<double> part(3, NAN);
  squares_by_block(cpu, values.data(), n, 3, 6, part.data());
  for (std::size_t b = 0; b < 3; ++b) CHECK(part[b] == whole[3 + b]);
}

TEST_CASE("a NaN or an infinity anywhere is not finite") {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    auto values = tests::random_values(200000, 4);
    values[150001] = bad;
    CHECK(clipping_of(values, 2).finite == 0);
    CHECK_FALSE(std::isfinite(clipping_of(values, 2, 1.0).norm));
  }
}

TEST_CASE("clip clips as torch does") {
  CHECK(clip(16.0, 1.0).scale == Approx(0.25).epsilon(1e-6));
  CHECK(clip(0.25, 1.0).scale == 1.0f);
  CHECK(clip(16.0, 0.0).scale == 1.0f);
  CHECK(clip(0.0, 1.0).scale == 1.0f);
}

}  // namespace
}  // namespace gpumonth::ops
