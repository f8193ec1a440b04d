#include "trainer/state/checkpoint_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/crc32.h"

namespace gpumonth::trainer {

static_assert(std::endian::native == std::endian::little, "checksums are of little-endian bytes");

std::string crc32(std::span<const float> values) { return crc32_text(crc32_of(values.data(), values.size_bytes())); }

namespace {

/// Without an early end, so that it runs at the memory's speed: the exponent's bits are all ones in NaN and inf only.
bool all_good(std::span<const float> values, bool non_negative) {
  constexpr std::uint32_t kExponent = 0x7f800000u;
  std::uint32_t bad = 0;
  if (non_negative) {
    for (const float value : values) bad |= static_cast<std::uint32_t>(!(value >= 0));
  }
  for (const float value : values) {
    bad |= static_cast<std::uint32_t>((std::bit_cast<std::uint32_t>(value) & kExponent) == kExponent);
  }
  return bad == 0;
}

}  // namespace

std::string bad_value(std::span<const float> values, bool non_negative) {
  if (all_good(values, non_negative)) return "";
  const auto bad = std::find_if(values.begin(), values.end(),
                                [&](float value) { return !std::isfinite(value) || (non_negative && value < 0); });
  const std::string what = std::isnan(*bad) ? "NaN" : std::isinf(*bad) ? "infinity" : fmt::format("{}", *bad);
  return fmt::format("{} (element {})", what, bad - values.begin());
}

}  // namespace gpumonth::trainer
