// Gradients of micro-batches added up on the GPU: the CPU's bits, aligned or not.
#include "trainer/ops/accumulate.h"

#include "tests/trainer/cuda/compare.h"
#include "tests/trainer/ops/device_memory.h"
#include "tests/trainer/ops/reference.h"

namespace gpumonth::ops {
namespace {

using tests::gpu, tests::on_device, tests::OutputOn, tests::random_values, tests::same_bits;

TEST_CASE("cuda accumulate adds element by element, and touches nothing behind them") {
  for (const std::int64_t n : {0, 1, 15, 4096, 9001}) {
    for (const std::int64_t first : {0, 1}) {
      INFO(n << " elements from place " << first);
      const auto values = random_values(n + 2, 1), start = random_values(n + 2, 2);
      auto expected = start;
      for (std::int64_t i = first; i < first + n; ++i) expected[i] += values[i];
      const auto values_on = on_device(gpu(), values);
      const OutputOn<Cuda, float> sum(gpu(), start);
      accumulate(gpu(), n, values_on.get() + first, sum.get() + first);
      CHECK(same_bits(sum.values("sum"), expected));
    }
  }
}

}  // namespace
}  // namespace gpumonth::ops
