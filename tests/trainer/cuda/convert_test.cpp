// fp32 to bf16 must be from_float() bit by bit, NaN payloads aside: the weights of all ranks are made by it.
#include "trainer/ops/convert.h"

#include "tests/trainer/cuda/compare.h"

namespace gpumonth::ops {
namespace {

using tests::gpu, tests::on_gpu, tests::Output;

/// Every exponent, both signs, with mantissas below, at and above a tie.
std::vector<float> corners() {
  std::vector<float> values;
  for (std::uint32_t high = 0; high < 0x10000; ++high)
    for (const std::uint32_t low : {0x0000u, 0x0001u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu})
      values.push_back(__builtin_bit_cast(float, high << 16 | low));
  return values;
}

std::vector<bf16> converted(const std::vector<float>& values, std::size_t skip = 0) {
  const auto n = static_cast<std::int64_t>(values.size() - skip);
  const auto from = on_gpu(values);
  const Output<bf16> to(n);
  convert(gpu(), n, from.get() + skip, to.get());
  return to.values("to");
}

TEST_CASE("cuda convert: every exponent and tie is rounded as from_float rounds it") {
  gpu();
  const auto values = corners();
  for (const std::size_t skip : {0, 1}) {
    const auto got = converted(values, skip);
    std::size_t wrong = 0, first_wrong = 0;
    for (std::size_t i = 0; i < got.size(); ++i) {
      const bf16 expected = from_float<bf16>(values[i + skip]);
      const bool good = std::isnan(values[i + skip]) ? std::isnan(to_float(got[i])) : got[i].bits == expected.bits;
      if (!good && wrong++ == 0) first_wrong = i;
    }
    INFO("first wrong: bits " << std::hex << __builtin_bit_cast(std::uint32_t, values[first_wrong + skip]) << " gave "
                              << got[first_wrong].bits);
    CHECK(wrong == 0);
  }
}

TEST_CASE("cuda convert: odd sizes, and fp32 to fp32") {
  gpu();
  for (const std::int64_t n : {1L, 3L, 72L, 1021L, 100003L}) {
    INFO(n << " elements");
    const auto values = tests::random_values(n, 1);
    const auto from = on_gpu(values);
    const Output<float> to(n);
    convert(gpu(), n, from.get(), to.get());
    CHECK(tests::same_bits(to.values("to"), values));
    std::vector<bf16> expected(values.size());
    for (std::size_t i = 0; i < values.size(); ++i) expected[i] = from_float<bf16>(values[i]);
    CHECK(tests::same_bits(converted(values), expected));
  }
}

}  // namespace
}  // namespace gpumonth::ops
