// SiLU forward and backward, and the broadcast sum, against the CPU.
#include "trainer/ops/silu.h"

#include "tests/trainer/cuda/compare.h"
#include "trainer/ops/add_broadcast.h"

namespace gpumonth::ops {
namespace {

using tests::check_close, tests::gpu, tests::on_gpu, tests::Output, tests::random_values;

TEST_CASE("cuda silu agrees with the CPU within a few roundings, also in place") {
  gpu();
  Cpu cpu{2};
  for (const std::int64_t n : {1L, 72L, 1023L, 3 * 1152L}) {
    INFO(n << " elements");
    auto x = random_values(n, 1, 4);
    x[0] = -200;  // where e^-x is clamped
    const auto dy = random_values(n, 2);
    const auto device_x = on_gpu(x);
    std::vector<float> y(x.size()), dx(x.size());
    silu_forward(cpu, n, x.data(), y.data());
    silu_backward(cpu, n, x.data(), dy.data(), dx.data());
    const Output<float> got_y(n), got_dx(dy);
    silu_forward(gpu(), n, device_x.get(), got_y.get());
    silu_backward(gpu(), n, device_x.get(), got_dx.get(), got_dx.get());
    check_close("y", got_y.values("y"), y, tests::kFp32Tolerance);
    check_close("dx", got_dx.values("dx"), dx, tests::kFp32Tolerance);
  }
}

TEST_CASE("cuda add_broadcast gives the CPU's bits: one addition an element") {
  gpu();
  Cpu cpu{2};
  for (const std::int64_t n : {1L, 17 * 72L, 1023L, 256 * 384L}) {
    for (const std::int64_t batch : {1, 3, 4, 9}) {
      INFO(batch << " samples of " << n);
      auto expected = random_values(batch * n, 1);
      const auto positions = random_values(n, 2);
      const auto device_positions = on_gpu(positions);
      const Output<float> x(expected);
      add_broadcast(cpu, batch, n, positions.data(), expected.data());
      add_broadcast(gpu(), batch, n, device_positions.get(), x.get());
      check_close("x", x.values("x"), expected, tests::kExactTolerance);
    }
  }
}

}  // namespace
}  // namespace gpumonth::ops
