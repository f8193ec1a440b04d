// GELU (tanh form) and its gradient with the bias sums of the layer in front.
#include "trainer/ops/gelu.h"

#include "tests/catch.h"
#include "tests/trainer/ops/reference.h"
#include "trainer/ops/column_sum.h"

namespace gpumonth::ops {
namespace {

using tests::doubles, tests::Doubles, tests::random_values, tests::relative_distance, tests::same_bits, tests::typed;

double gelu(double u) { return 0.5 * u * (1 + std::tanh(std::sqrt(2 / M_PI) * (u + 0.044715 * u * u * u))); }

double gelu_slope(double u) {
  constexpr double kStep = 1e-5;
  return (gelu(u + kStep) - gelu(u - kStep)) / (2 * kStep);
}

template <class T>
struct Run {
  std::vector<T> u, y, dy, du;
  std::vector<float> dbias;
  Run(std::int64_t rows, std::int64_t columns, int threads)
      : u(typed<T>(random_values(rows * columns, 1, 2))), y(u.size()), dy(typed<T>(random_values(rows * columns, 2))),
        du(dy), dbias(columns, NAN) {
    Cpu cpu{threads};
    std::vector<float> scratch(column_sum_scratch(rows, columns));
    gelu_forward(cpu, rows * columns, u.data(), y.data());
    gelu_backward(cpu, rows, columns, u.data(), du.data(), dbias.data(), scratch.data());
  }
};

template <class T>
void check(double tolerance) {
  const std::pair<std::int64_t, std::int64_t> sizes[] = {{1, 1}, {7, 96}, {150, 33}, {1, 5000}, {333, 24}};
  for (const auto& [rows, columns] : sizes) {
    INFO(rows << " x " << columns);
    const Run<T> run(rows, columns, 1), pair(rows, columns, 2);
    Doubles y, du, dbias(columns);
    for (std::size_t i = 0; i < run.u.size(); ++i) {
      const double u = double{to_float(run.u[i])};
      y.push_back(gelu(u));
      du.push_back(double{to_float(run.dy[i])} * gelu_slope(u));
      dbias[i % static_cast<std::size_t>(columns)] += du.back();
    }
    CHECK(relative_distance(doubles(run.y), y) < tolerance);
    CHECK(relative_distance(doubles(run.du), du) < tolerance);
    CHECK(relative_distance(run.dbias, dbias) < tolerance);
    CHECK(same_bits(run.y, pair.y));
    CHECK(same_bits(run.du, pair.du));
    CHECK(same_bits(run.dbias, pair.dbias));
  }
}

TEST_CASE("gelu in fp32 against the formula and its central differences") { check<float>(2e-6); }

TEST_CASE("gelu in bf16: one rounding of each result") { check<bf16>(3e-3); }

TEST_CASE("gelu's tails are exact") {
  const std::vector<float> u = {-40, -12, 0, 12, 40};
  std::vector<float> y(u.size()), dy(u.size(), 1), dbias(u.size()), scratch(column_sum_scratch(1, 5));
  Cpu cpu{1};
  gelu_forward(cpu, 5, u.data(), y.data());
  gelu_backward(cpu, 1, 5, u.data(), dy.data(), dbias.data(), scratch.data());
  for (std::size_t i = 0; i < u.size(); ++i) {
    CHECK(double{y[i]} == Approx(std::max(u[i], 0.0f)).margin(1e-6));
    CHECK(double{dy[i]} == Approx(u[i] > 0 ? 1 : u[i] < 0 ? 0 : 0.5).margin(1e-6));
  }
}

}  // namespace
}  // namespace gpumonth::ops
