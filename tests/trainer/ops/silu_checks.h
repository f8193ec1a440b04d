// SiLU of the conditioning, and the broadcast sum of the positions, on any device.
#pragma once

#include <cmath>
#include <vector>

#include "tests/trainer/ops/device_memory.h"
#include "tests/trainer/ops/reference.h"
#include "trainer/ops/add_broadcast.h"
#include "trainer/ops/silu.h"

namespace gpumonth::tests {

struct SiluRun {
  std::vector<float> x, dy, y, dx, dx_in_place;

  template <class Device>
  SiluRun(Device& device, const std::vector<float>& x_given, const std::vector<float>& dy_given)
      : x(x_given), dy(dy_given) {
    const auto n = static_cast<std::int64_t>(x.size());
    const auto x_on = on_device(device, x), dy_on = on_device(device, dy);
    const OutputOn<Device, float> y_on(device, n), dx_on(device, n), in_place(device, dy);
    ops::silu_forward(device, n, x_on.get(), y_on.get());
    ops::silu_backward(device, n, x_on.get(), dy_on.get(), dx_on.get());
    ops::silu_backward(device, n, x_on.get(), in_place.get(), in_place.get());
    y = y_on.values("y");
    dx = dx_on.values("dx");
    dx_in_place = in_place.values("dx in place");
  }
};

inline double silu_formula(double x) { return x / (1 + std::exp(-x)); }

/// Values, and the gradient by central differences; in place the same bits.
template <class Device>
void check_silu(Device& device) {
  constexpr double kTolerance = 1e-6, kStep = 1e-5;
  for (const std::int64_t n : {1, 7, 96, 9001}) {
    INFO(n << " elements");
    const SiluRun run(device, random_values(n, 1, 3), random_values(n, 2));
    Doubles y, dx;
    for (std::size_t i = 0; i < run.x.size(); ++i) {
      const double x = double{run.x[i]};
      y.push_back(silu_formula(x));
      dx.push_back(double{run.dy[i]} * (silu_formula(x + kStep) - silu_formula(x - kStep)) / (2 * kStep));
    }
    CHECK(relative_distance(run.y, y) < kTolerance);
    CHECK(relative_distance(run.dx, dx) < kTolerance);
    CHECK(same_bits(run.dx, run.dx_in_place));
  }
}

template <class Device>
void check_silu_tails(Device& device) {
  const SiluRun run(device, {-1e4f, -90, 90, 1e4f}, std::vector<float>(4, 1.0f));
  for (std::size_t i = 0; i < run.x.size(); ++i) {
    CHECK(double{run.y[i]} == Approx(std::max(run.x[i], 0.0f)).margin(1e-6));
    CHECK(double{run.dx[i]} == Approx(run.x[i] > 0 ? 1 : 0).margin(1e-6));
  }
}

/// One addition an element, so the same bits everywhere.
template <class Device>
void check_add_broadcast(Device& device) {
  for (const std::int64_t n : {1L, 101L, 17 * 72L, 1023L, 256 * 384L}) {
    for (const std::int64_t batch : {1, 3, 4, 9}) {
      INFO(batch << " samples of " << n);
      const auto start = random_values(batch * n, 1), positions = random_values(n, 2);
      auto expected = start;
      for (std::size_t i = 0; i < start.size(); ++i) expected[i] += positions[i % positions.size()];
      const auto positions_on = on_device(device, positions);
      const OutputOn<Device, float> x(device, start);
      ops::add_broadcast(device, batch, n, positions_on.get(), x.get());
      CHECK(same_bits(x.values("x"), expected));
    }
  }
}

}  // namespace gpumonth::tests
