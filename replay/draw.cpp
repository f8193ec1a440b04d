#include "replay/draw.h"

#include <Random123/philox.h>

#include "base/normal.h"
#include "base/random.h"

namespace gpumonth::replay {

double uniform(std::uint64_t seed, Purpose purpose, std::uint64_t step, std::uint32_t rank) {
  const auto low = [](std::uint64_t bits) { return static_cast<std::uint32_t>(bits); };
  const auto high = [](std::uint64_t bits) { return static_cast<std::uint32_t>(bits >> 32); };
  const r123::Philox4x32::ctr_type counter = {{low(step), high(step), rank, static_cast<std::uint32_t>(purpose)}};
  const r123::Philox4x32::key_type key = {{low(seed), high(seed)}};
  const r123::Philox4x32::ctr_type drawn = r123::Philox4x32()(counter, key);
  const std::uint64_t bits = std::uint64_t{drawn[0]} << 32 | drawn[1];
  return unit_interval(bits);
}

double normal(std::uint64_t seed, Purpose purpose, std::uint64_t step, std::uint32_t rank) {
  return normal_quantile(uniform(seed, purpose, step, rank));
}

}  // namespace gpumonth::replay
