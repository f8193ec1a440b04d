// The fused residual, LayerNorm and modulation on the CPU, with one thread and with two.
#include "tests/trainer/ops/residual_norm_checks.h"

namespace gpumonth::ops {
namespace {

using namespace tests;

TEST_CASE("residual_norm in fp32: values and central differences") {
  Cpu cpu{2};
  check_residual_norm<float>(cpu);
}

TEST_CASE("residual_norm in bf16: y and dbranch are rounded, all else is fp32") {
  Cpu cpu{2};
  check_residual_norm<bf16>(cpu);
}

template <class T>
void check_threads() {
  Cpu alone{1}, pair{2};
  for_each_residual_norm([&](const ResidualNormCase& c) {
    const ResidualNormInputs<T> in(c);
    const auto one = residual_norm_values(alone, c, in), two = residual_norm_values(pair, c, in);
    check_same_residual_norm(one, two);
    check_same_residual_norm(residual_norm_gradients(alone, c, in, one), residual_norm_gradients(pair, c, in, two));
  });
}

TEST_CASE("residual_norm gives the same bits for 1 and 2 threads") {
  check_threads<float>();
  check_threads<bf16>();
}

}  // namespace
}  // namespace gpumonth::ops
