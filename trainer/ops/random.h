// Counter-based random numbers (Random123 Philox4x32-10): the same number for the same (seed, step, global
// sample index, purpose, element), whatever the rank count, thread count or device. Salmon et al., "Parallel
// random numbers: as easy as 1, 2, 3", SC'11.
#pragma once

#include <Random123/philox.h>

#include <cmath>
#include <cstdint>

#include "trainer/ops/math.h"

namespace gpumonth::ops {

enum class Purpose : std::uint32_t {
  init = 1,
  timestep = 2,
  noise = 3,
  label_dropout = 4,
  shuffle = 5,
  shapes = 6,
  sampling = 7,  ///< noise of the reverse process: `step` 0 is what it begins with
  flip = 8
};

struct Random4 {
  std::uint32_t v[4];
};

/// 128 random bits. `sample` is the global index of the sample in the step (or the tensor's index for init),
/// `element` counts draws within one (step, sample, purpose), 2^28 at most.
GPUMONTH_HD inline Random4 philox(std::uint64_t seed, std::uint32_t step, std::uint32_t sample, Purpose purpose,
                                  std::uint32_t element) {
  r123::Philox4x32::ctr_type counter = {{element, step, sample, static_cast<std::uint32_t>(purpose)}};
  r123::Philox4x32::key_type key = {{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)}};
  auto r = r123::Philox4x32()(counter, key);
  return {{r[0], r[1], r[2], r[3]}};
}

/// Uniform in (0, 1), 23 bits: exact in fp32, never 0 (its logarithm is finite) and never 1.
GPUMONTH_HD inline float uniform01(std::uint32_t bits) {
  return (static_cast<float>(static_cast<std::int32_t>(bits >> 9)) + 0.5f) * (1.0f / 8388608.0f);
}

/// Four standard normal numbers from 128 bits (Box-Muller), absolute error below 2e-6. Vectorises.
GPUMONTH_HD inline void normal4(const Random4& r, float out[4]) {
  for (int pair = 0; pair < 2; ++pair) {
    const float radius = std::sqrt(-2.0f * ops::fast_log(uniform01(r.v[2 * pair])));
    float cosine, sine;
    ops::fast_sincos_2pi(uniform01(r.v[2 * pair + 1]), &cosine, &sine);
    out[2 * pair] = radius * cosine;
    out[2 * pair + 1] = radius * sine;
  }
}

}  // namespace gpumonth::ops
