// SiLU and the broadcast sum on the GPU: as on the CPU, and against it.
#include "tests/trainer/cuda/compare.h"
#include "tests/trainer/ops/silu_checks.h"

namespace gpumonth::ops {
namespace {

using tests::check_close, tests::gpu, tests::random_values, tests::SiluRun;

TEST_CASE("cuda silu against the formula and its central differences") {
  tests::check_silu(gpu());
  tests::check_silu_tails(gpu());
}

TEST_CASE("cuda silu agrees with the CPU within a few roundings, also in place") {
  gpu();
  Cpu cpu{2};
  for (const std::int64_t n : {1L, 72L, 1023L, 3 * 1152L}) {
    INFO(n << " elements");
    auto x = random_values(n, 1, 4);
    x[0] = -200;  // where e^-x is clamped
    const auto dy = random_values(n, 2);
    const SiluRun expected(cpu, x, dy), got(gpu(), x, dy);
    check_close("y", got.y, expected.y, tests::kFp32Tolerance);
    check_close("dx", got.dx, expected.dx, tests::kFp32Tolerance);
    check_close("dx in place", got.dx_in_place, expected.dx, tests::kFp32Tolerance);
  }
}

TEST_CASE("cuda add_broadcast adds the same row to every sample") { tests::check_add_broadcast(gpu()); }

}  // namespace
}  // namespace gpumonth::ops
