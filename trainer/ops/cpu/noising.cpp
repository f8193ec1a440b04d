#include "trainer/ops/noising.h"

#include <algorithm>

#include "trainer/ops/cpu/parallel.h"
#include "trainer/ops/random.h"

namespace gpumonth::ops {
namespace {

constexpr std::int64_t kDraws = 256;  // draws of four numbers per block: bits and noise stay in the first-level cache

/// Values [4 first_draw + skip, 4 first_draw + skip + n) of one sample's noise, skip < 4, skip + n <= 4 kDraws.
void draw_block(std::uint64_t seed, std::uint32_t step, std::uint32_t sample, Purpose purpose, std::uint32_t first_draw,
                std::int64_t skip, std::int64_t n, float* noise) {
  ops::Random4 bits[kDraws];
  float values[kDraws][4];
  const std::int64_t draws = (skip + n + 3) / 4;
  for (std::int64_t i = 0; i < draws; ++i) {
    bits[i] = ops::philox(seed, step, sample, purpose, first_draw + static_cast<std::uint32_t>(i));
  }
#pragma omp simd
  for (std::int64_t i = 0; i < draws; ++i) ops::normal4(bits[i], values[i]);
  std::copy_n(values[0] + skip, n, noise);
}

}  // namespace

void draw_noise(Cpu& cpu, std::uint64_t seed, std::uint32_t step, std::uint32_t first_sample, std::int64_t batch,
                std::int64_t sample_size, float* noise, Purpose purpose) {
  const std::int64_t blocks = (sample_size + 4 * kDraws - 1) / (4 * kDraws);  // per sample
  parallel_for(cpu, batch * blocks, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t item = begin; item < end; ++item) {
      const std::int64_t b = item / blocks, first = item % blocks * 4 * kDraws;
      draw_block(seed, step, first_sample + static_cast<std::uint32_t>(b), purpose,
                 static_cast<std::uint32_t>(first / 4), 0, std::min(4 * kDraws, sample_size - first),
                 noise + b * sample_size + first);
    }
  });
}

void draw_noise_part(Cpu& cpu, std::uint64_t seed, std::uint32_t step, std::uint32_t first_sample, std::int64_t batch,
                     const NoisePart& part, float* noise) {
  parallel_for(cpu, batch * part.channels, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const auto sample = first_sample + static_cast<std::uint32_t>(row / part.channels);
      const std::int64_t first = row % part.channels * part.plane + part.first;  // within the sample
      for (std::int64_t done = 0; done < part.count;) {
        const std::int64_t at = first + done, n = std::min(4 * kDraws - at % 4, part.count - done);
        draw_block(seed, step, sample, Purpose::noise, static_cast<std::uint32_t>(at / 4), at % 4, n,
                   noise + row * part.count + done);
        done += n;
      }
    }
  });
}

void add_noise(Cpu& cpu, const float* x_0, const float* noise, const std::int32_t* t,
               const ops::StepCoefficients* table, std::int64_t batch, std::int64_t sample_size, float* x_t) {
  parallel_for(cpu, batch, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t b = begin; b < end; ++b) {
      const ops::StepCoefficients c = table[t[b]];
#pragma omp simd
      for (std::int64_t i = b * sample_size; i < (b + 1) * sample_size; ++i) {
        x_t[i] = c.signal * x_0[i] + c.noise * noise[i];
      }
    }
  });
}

}  // namespace gpumonth::ops
