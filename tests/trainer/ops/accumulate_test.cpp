// Gradients of micro-batches added up: one addition an element, so the same bits for any thread count.
#include "trainer/ops/accumulate.h"

#include "tests/catch.h"
#include "tests/trainer/ops/values.h"

namespace gpumonth::ops {
namespace {

using tests::random_values, tests::same_bits;

TEST_CASE("accumulate adds element by element, and touches nothing behind them") {
  for (const int threads : {1, 2}) {
    Cpu cpu{threads};
    for (const std::int64_t n : {0, 1, 15, 4096, 9001}) {
      INFO(n << " elements, " << threads << " threads");
      const auto values = random_values(n + 1, 1), start = random_values(n + 1, 2);
      auto sum = start, expected = start;
      for (std::int64_t i = 0; i < n; ++i) expected[i] += values[i];
      accumulate(cpu, n, values.data(), sum.data());
      CHECK(same_bits(sum, expected));
    }
  }
}

}  // namespace
}  // namespace gpumonth::ops
