#include "trainer/ops/embedding.h"

#include <cmath>

#include "tests/catch.h"
#include "tests/trainer/ops/values.h"

namespace gpumonth::ops {
namespace {

using tests::random_values, tests::same_bits;

TEST_CASE("timestep_embedding is cos, then sin, of t times geometric frequencies") {
  const std::vector<std::int32_t> t = {0, 1, 13, 500, 999};
  constexpr std::size_t kWidth = 256, kHalf = kWidth / 2;
  std::vector<float> one(t.size() * kWidth), three(one.size());
  Cpu cpu{1}, cpu3{3};
  timestep_embedding(cpu, t.data(), static_cast<std::int64_t>(t.size()), kWidth, one.data());
  timestep_embedding(cpu3, t.data(), static_cast<std::int64_t>(t.size()), kWidth, three.data());
  CHECK(same_bits(one, three));
  double worst = 0;
  for (std::size_t b = 0; b < t.size(); ++b) {
    for (std::size_t k = 0; k < kHalf; ++k) {
      const double angle = t[b] * std::pow(10000.0, -static_cast<double>(k) / kHalf);
      worst = std::max({worst, std::abs(double{one[b * kWidth + k]} - std::cos(angle)),
                        std::abs(double{one[b * kWidth + kHalf + k]} - std::sin(angle))});
    }
  }
  CHECK(worst < 1e-7);
}

TEST_CASE("label_embedding gathers rows and adds") {
  constexpr std::int64_t kRows = 7, kWidth = 19;
  const std::vector<std::int32_t> labels = {6, 0, 3, 3};
  const auto table = random_values(kRows * kWidth, 1), addend = random_values(4 * kWidth, 2);
  for (const int threads : {1, 2, 3}) {
    Cpu cpu{threads};
    std::vector<float> plain(addend.size()), in_place = addend;
    label_embedding(cpu, table.data(), labels.data(), nullptr, 4, kWidth, plain.data());
    label_embedding(cpu, table.data(), labels.data(), in_place.data(), 4, kWidth, in_place.data());
    bool equal = true;
    for (std::size_t i = 0; i < addend.size(); ++i) {
      const float row = table[static_cast<std::size_t>(labels[i / kWidth]) * kWidth + i % kWidth];
      equal &= plain[i] == row && in_place[i] == row + addend[i];
    }
    CHECK(equal);
  }
}

TEST_CASE("label_embedding_backward adds samples in order and zeroes every other row") {
  constexpr std::int64_t kRows = 7, kWidth = 19;
  const std::vector<std::int32_t> labels = {6, 3, 0, 3, 3};
  const auto d_out = random_values(5 * kWidth, 3);
  std::vector<float> expected(kRows * kWidth, 0.0f);
  for (std::size_t b = 0; b < labels.size(); ++b) {
    for (std::size_t i = 0; i < kWidth; ++i) {
      expected[static_cast<std::size_t>(labels[b]) * kWidth + i] += d_out[b * kWidth + i];
    }
  }
  for (const int threads : {1, 2, 3}) {
    Cpu cpu{threads};
    std::vector<float> d_table(expected.size(), NAN);
    label_embedding_backward(cpu, d_out.data(), labels.data(), 5, kRows, kWidth, d_table.data());
    CHECK(same_bits(d_table, expected));
  }
}

}  // namespace
}  // namespace gpumonth::ops
