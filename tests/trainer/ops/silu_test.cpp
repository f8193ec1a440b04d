// SiLU and the broadcast sum on the CPU, with one thread and with two.
#include "tests/trainer/ops/silu_checks.h"

namespace gpumonth::ops {
namespace {

TEST_CASE("silu against the formula and its central differences") {
  Cpu cpu{2};
  tests::check_silu(cpu);
}

TEST_CASE("silu's tails are finite") {
  Cpu cpu{1};
  tests::check_silu_tails(cpu);
}

TEST_CASE("silu gives the same bits for any thread count") {
  const auto x = tests::random_values(9001, 1, 3), dy = tests::random_values(9001, 2);
  Cpu alone{1}, pair{2};
  const tests::SiluRun one(alone, x, dy), two(pair, x, dy);
  CHECK(tests::same_bits(one.y, two.y));
  CHECK(tests::same_bits(one.dx, two.dx));
}

TEST_CASE("add_broadcast adds the same row to every sample") {
  for (const int threads : {1, 2}) {
    Cpu cpu{threads};
    tests::check_add_broadcast(cpu);
  }
}

}  // namespace
}  // namespace gpumonth::ops
