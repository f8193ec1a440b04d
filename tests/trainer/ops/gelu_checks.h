// GELU (tanh form) and its gradient with the bias sums of the layer in front, on any device against the formula.
#pragma once

#include <cmath>
#include <utility>
#include <vector>

#include "tests/trainer/ops/device_memory.h"
#include "tests/trainer/ops/reference.h"
#include "trainer/ops/column_sum.h"
#include "trainer/ops/gelu.h"

namespace gpumonth::tests {

template <class T>
struct GeluRun {
  std::vector<T> u, dy, y, du;
  std::vector<float> dbias;

  template <class Device>
  GeluRun(Device& device, std::int64_t rows, std::int64_t columns)
      : u(typed<T>(random_values(rows * columns, 1, 2))), dy(typed<T>(random_values(rows * columns, 2))) {
    const auto u_on = on_device(device, u);
    const OutputOn<Device, T> y_on(device, rows * columns), du_on(device, dy);
    const OutputOn<Device, float> dbias_on(device, columns), scratch(device, ops::column_sum_scratch(rows, columns));
    ops::gelu_forward(device, rows * columns, u_on.get(), y_on.get());
    ops::gelu_backward(device, rows, columns, u_on.get(), du_on.get(), dbias_on.get(), scratch.get());
    y = y_on.values("y");
    du = du_on.values("du");
    dbias = dbias_on.values("dbias");
    scratch.values("scratch");
  }
};

template <class T>
void check_same_gelu(const GeluRun<T>& a, const GeluRun<T>& b) {
  CHECK(same_bits(a.y, b.y));
  CHECK(same_bits(a.du, b.du));
  CHECK(same_bits(a.dbias, b.dbias));
}

inline double gelu_formula(double u) {
  return 0.5 * u * (1 + std::tanh(std::sqrt(2 / M_PI) * (u + 0.044715 * u * u * u)));
}

/// Values, and the gradients by central differences. bf16: one rounding of each result.
template <class T, class Device>
void check_gelu(Device& device) {
  constexpr double kTolerance = sizeof(T) == 2 ? 3e-3 : 2e-6, kStep = 1e-5;
  const std::pair<std::int64_t, std::int64_t> sizes[] = {{1, 1}, {7, 96}, {150, 33}, {1, 5000}, {333, 24}};
  for (const auto& [rows, columns] : sizes) {
    INFO(rows << " x " << columns);
    const GeluRun<T> run(device, rows, columns);
    Doubles y, du, dbias(static_cast<std::size_t>(columns));
    for (std::size_t i = 0; i < run.u.size(); ++i) {
      const double u = double{ops::to_float(run.u[i])};
      y.push_back(gelu_formula(u));
      const double slope = (gelu_formula(u + kStep) - gelu_formula(u - kStep)) / (2 * kStep);
      du.push_back(double{ops::to_float(run.dy[i])} * slope);
      dbias[i % static_cast<std::size_t>(columns)] += du.back();
    }
    CHECK(relative_distance(doubles(run.y), y) < kTolerance);
    CHECK(relative_distance(doubles(run.du), du) < kTolerance);
    CHECK(relative_distance(run.dbias, dbias) < kTolerance);
    check_same_gelu(run, GeluRun<T>(device, rows, columns));
  }
}

/// Every u is exact in bf16. e^-z is just below 2^126 at -10, where fast division ends, and no fp32 number below -10.06.
template <class T, class Device>
void check_gelu_tails(Device& device) {
  const std::vector<float> u = {-65536, -40, -12, -10.0625f, -10, 0, 10, 12, 40, 65536};
  const auto n = static_cast<std::int64_t>(u.size());
  const auto u_on = on_device(device, typed<T>(u));
  const OutputOn<Device, T> y_on(device, n), du_on(device, typed<T>(std::vector<float>(u.size(), 1.0f)));
  const OutputOn<Device, float> dbias(device, n), scratch(device, ops::column_sum_scratch(1, n));
  ops::gelu_forward(device, n, u_on.get(), y_on.get());
  ops::gelu_backward(device, 1, n, u_on.get(), du_on.get(), dbias.get(), scratch.get());
  const auto y = y_on.values("y"), du = du_on.values("du");
  for (std::size_t i = 0; i < u.size(); ++i) {
    INFO(u[i]);
    CHECK(double{ops::to_float(y[i])} == Approx(std::max(u[i], 0.0f)).margin(1e-6));
    CHECK(double{ops::to_float(du[i])} == Approx(u[i] > 0 ? 1 : u[i] < 0 ? 0 : 0.5).margin(1e-6));
  }
}

}  // namespace gpumonth::tests
