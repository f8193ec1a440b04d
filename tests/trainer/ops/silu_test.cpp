// SiLU of the conditioning and the broadcast sum of the positions.
#include "trainer/ops/silu.h"

#include "tests/catch.h"
#include "tests/trainer/ops/reference.h"
#include "trainer/ops/add_broadcast.h"

namespace gpumonth::ops {
namespace {

using tests::Doubles, tests::random_values, tests::relative_distance, tests::same_bits;

double silu(double x) { return x / (1 + std::exp(-x)); }

double silu_slope(double x) {
  constexpr double kStep = 1e-5;
  return (silu(x + kStep) - silu(x - kStep)) / (2 * kStep);
}

TEST_CASE("silu against the formula and its central differences") {
  for (const std::int64_t n : {1, 7, 96, 9001}) {
    const auto x = random_values(n, 1, 3), dy = random_values(n, 2);
    std::vector<float> y(x.size()), dx(x.size()), y2(x.size()), in_place = dy;
    Cpu alone{1}, pair{2};
    silu_forward(alone, n, x.data(), y.data());
    silu_forward(pair, n, x.data(), y2.data());
    silu_backward(alone, n, x.data(), dy.data(), dx.data());
    silu_backward(pair, n, x.data(), in_place.data(), in_place.data());
    Doubles expected, gradient;
    for (std::size_t i = 0; i < x.size(); ++i) {
      expected.push_back(silu(double{x[i]}));
      gradient.push_back(double{dy[i]} * silu_slope(double{x[i]}));
    }
    CHECK(relative_distance(y, expected) < 1e-6);
    CHECK(relative_distance(dx, gradient) < 1e-6);
    CHECK(same_bits(y, y2));
    CHECK(same_bits(dx, in_place));
  }
}

TEST_CASE("silu's tails are finite") {
  const std::vector<float> x = {-1e4f, -90, 90, 1e4f};
  std::vector<float> y(4), dx(4), dy(4, 1.0f);
  Cpu cpu{1};
  silu_forward(cpu, 4, x.data(), y.data());
  silu_backward(cpu, 4, x.data(), dy.data(), dx.data());
  for (std::size_t i = 0; i < x.size(); ++i) {
    CHECK(double{y[i]} == Approx(std::max(x[i], 0.0f)).margin(1e-6));
    CHECK(double{dx[i]} == Approx(x[i] > 0 ? 1 : 0).margin(1e-6));
  }
}

TEST_CASE("add_broadcast adds the same row to every sample") {
  constexpr std::int64_t kBatch = 3, kCount = 101;
  const auto positions = random_values(kCount, 1), start = random_values(kBatch * kCount, 2);
  for (const int threads : {1, 2}) {
    auto x = start;
    Cpu cpu{threads};
    add_broadcast(cpu, kBatch, kCount, positions.data(), x.data());
    bool equal = true;
    for (std::size_t i = 0; i < x.size(); ++i) equal &= x[i] == start[i] + positions[i % kCount];
    CHECK(equal);
  }
}

}  // namespace
}  // namespace gpumonth::ops
