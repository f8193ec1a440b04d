// Element by element against the definition; and the two permutations that attention's all-to-alls are packed by.
#include "trainer/ops/swap_axes.h"

#include "tests/catch.h"
#include "tests/trainer/ops/values.h"

namespace gpumonth::ops {
namespace {

/// Values that say where they were.
template <class T>
std::vector<T> numbered(std::int64_t n) {
  std::vector<T> values(static_cast<std::size_t>(n));
  for (std::int64_t i = 0; i < n; ++i) {
    if constexpr (std::is_same_v<T, float>)
      values[static_cast<std::size_t>(i)] = static_cast<float>(i);
    else
      values[static_cast<std::size_t>(i)].bits = static_cast<std::uint16_t>(i);
  }
  return values;
}

template <class T>
void check(std::int64_t a, std::int64_t b, std::int64_t w) {
  CAPTURE(a, b, w);
  const auto in = numbered<T>(a * b * w);
  std::vector<T> expected(in.size());
  for (std::int64_t i = 0; i < a; ++i)
    for (std::int64_t j = 0; j < b; ++j)
      for (std::int64_t k = 0; k < w; ++k)
        expected[static_cast<std::size_t>((j * a + i) * w + k)] = in[static_cast<std::size_t>((i * b + j) * w + k)];
  for (const int threads : {1, 3}) {
    Cpu cpu{threads};
    std::vector<T> out(in.size());
    swap_axes(cpu, a, b, w, in.data(), out.data());
    CHECK(tests::same_bits(out, expected));
    std::vector<T> back(in.size());
    swap_axes(cpu, b, a, w, out.data(), back.data());
    CHECK(tests::same_bits(back, in));
  }
}

TEST_CASE("rows of a matrix of rows change places, and back") {
  for (const auto& [a, b, w] :
       {std::tuple{1, 1, 1}, {1, 4, 7}, {4, 1, 7}, {2, 3, 5}, {64, 4, 12}, {3, 2, 20000}, {5000, 2, 3}, {7, 8, 16}}) {
    check<float>(a, b, w);
    check<bf16>(a, b, w);
  }
}

TEST_CASE("heads of each rank come together, and tokens of each rank") {
  constexpr std::int64_t kBatch = 2, kTokens = 3, kHeads = 4, kWidth = 2, kRanks = 2;
  // qkv (B, T/s, 3, H, d), every value its head
  std::vector<float> qkv(kBatch * kTokens * 3 * kHeads * kWidth), packed(qkv.size());
  for (std::size_t i = 0; i < qkv.size(); ++i) qkv[i] = static_cast<float>(i / kWidth % kHeads);
  Cpu cpu;
  swap_axes(cpu, kBatch * kTokens * 3, kRanks, kHeads / kRanks * kWidth, qkv.data(), packed.data());
  for (std::size_t i = 0; i < packed.size(); ++i) {
    const auto rank = static_cast<float>(i / (packed.size() / kRanks));
    CHECK(packed[i] >= rank * kHeads / kRanks);
    CHECK(packed[i] < (rank + 1) * kHeads / kRanks);
  }
}

}  // namespace
}  // namespace gpumonth::ops
