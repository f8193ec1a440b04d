// GELU on the CPU: against the formula, and the same bits whatever the thread count.
#include "tests/trainer/ops/gelu_checks.h"

namespace gpumonth::ops {
namespace {

TEST_CASE("gelu in fp32 against the formula and its central differences") {
  Cpu cpu{2};
  tests::check_gelu<float>(cpu);
}

TEST_CASE("gelu in bf16: one rounding of each result") {
  Cpu cpu{2};
  tests::check_gelu<bf16>(cpu);
}

TEST_CASE("gelu's tails are exact") {
  Cpu cpu{1};
  tests::check_gelu_tails<float>(cpu);
  tests::check_gelu_tails<bf16>(cpu);
}

TEST_CASE("gelu gives the same bits for any thread count") {
  Cpu alone{1}, pair{2};
  for (const std::int64_t columns : {1, 33, 96, 5000}) {
    tests::check_same_gelu(tests::GeluRun<float>(alone, 150, columns), tests::GeluRun<float>(pair, 150, columns));
    tests::check_same_gelu(tests::GeluRun<bf16>(alone, 150, columns), tests::GeluRun<bf16>(pair, 150, columns));
  }
}

}  // namespace
}  // namespace gpumonth::ops
