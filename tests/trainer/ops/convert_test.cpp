// fp32 to the compute type: round to nearest even, the same for every thread count.
#include "trainer/ops/convert.h"

#include <cstring>
#include <limits>

#include "tests/catch.h"
#include "tests/trainer/ops/reference.h"

namespace gpumonth::ops {
namespace {

using tests::random_values, tests::same_bits;

float from_bits(std::uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

std::vector<std::uint16_t> bf16_bits(const std::vector<float>& from) {
  std::vector<bf16> to(from.size());
  Cpu cpu{1};
  convert(cpu, static_cast<std::int64_t>(from.size()), from.data(), to.data());
  std::vector<std::uint16_t> bits;
  for (const bf16 value : to) bits.push_back(value.bits);
  return bits;
}

TEST_CASE("bf16 rounds to nearest, ties to even") {
  CHECK(bf16_bits({1.0f, -2.0f, 0.0f, -0.0f}) == std::vector<std::uint16_t>{0x3f80, 0xc000, 0x0000, 0x8000});
  // The half way between two neighbours goes to the even one; a hair beyond it goes up.
  CHECK(bf16_bits({from_bits(0x3f808000), from_bits(0x3f818000), from_bits(0x3f808001), from_bits(0x3f807fff)}) ==
        std::vector<std::uint16_t>{0x3f80, 0x3f82, 0x3f81, 0x3f80});
  // Rounding up may carry into the exponent, and out of range into infinity; a NaN stays one.
  const float infinity = std::numeric_limits<float>::infinity();
  CHECK(bf16_bits({from_bits(0x3fffffff), std::numeric_limits<float>::max(), -infinity}) ==
        std::vector<std::uint16_t>{0x4000, 0x7f80, 0xff80});
  for (const std::uint32_t nan : {0x7fc00000u, 0x7f800001u, 0x7fffffffu})
    CHECK(std::isnan(to_float(bf16{bf16_bits({from_bits(nan)})[0]})));
}

TEST_CASE("bf16 is never further away than half a step, 2^-8 of the value") {
  const auto from = random_values(10007, 3);
  const auto bits = bf16_bits(from);
  double worst = 0;
  for (std::size_t i = 0; i < from.size(); ++i)
    worst = std::max(worst, std::abs(double{to_float(bf16{bits[i]})} - double{from[i]}) / std::abs(double{from[i]}));
  CHECK(worst <= std::ldexp(1.0, -8));
  CHECK(worst > 1e-3);  // it does round
}

TEST_CASE("conversion is the same for 1 and 2 threads, and fp32 is copied") {
  const auto from = random_values(20011, 4);
  std::vector<bf16> one(from.size()), two(from.size());
  std::vector<float> copy(from.size());
  Cpu alone{1}, pair{2};
  convert(alone, 20011, from.data(), one.data());
  convert(pair, 20011, from.data(), two.data());
  convert(pair, 20011, from.data(), copy.data());
  CHECK(same_bits(one, two));
  CHECK(same_bits(copy, from));
}

}  // namespace
}  // namespace gpumonth::ops
