// The forward process: standard normal noise, keyed by sample, and x_t = sqrt(alpha_bar) x_0 + sqrt(1 -
// alpha_bar) noise.
#pragma once

#include <cstdint>

#include "trainer/ops/device.h"
#include "trainer/ops/diffusion.h"

namespace gpumonth::ops {

/// noise (B, sample_size) fp32: row b is the noise of global sample first_sample + b of this step, whatever
/// the split over ranks and threads (Philox; element e of a row is part e % 4 of draw e / 4).
void draw_noise(Cpu& cpu, std::uint64_t seed, std::uint32_t step, std::uint32_t first_sample, std::int64_t batch,
                std::int64_t sample_size, float* noise, Purpose purpose = Purpose::noise);
void draw_noise(Cuda& cuda, std::uint64_t seed, std::uint32_t step, std::uint32_t first_sample, std::int64_t batch,
                std::int64_t sample_size, float* noise, Purpose purpose = Purpose::noise);

/// The values of a sample's noise that a rank needs which has a part of the sample: of each channel's plane a run.
struct NoisePart {
  std::int64_t channels, plane;  ///< of the sample; sample_size = channels x plane
  std::int64_t first, count;     ///< of each plane
};

/// noise (B, channels, part.count) fp32: the same numbers that draw_noise() gives whole samples.
void draw_noise_part(Cpu& cpu, std::uint64_t seed, std::uint32_t step, std::uint32_t first_sample, std::int64_t batch,
                     const NoisePart& part, float* noise);
void draw_noise_part(Cuda& cuda, std::uint64_t seed, std::uint32_t step, std::uint32_t first_sample, std::int64_t batch,
                     const NoisePart& part, float* noise);

/// x_t (B, sample_size) fp32 from x_0 and noise (B, sample_size) fp32 and t (B), each in 0 .. 999;
/// `table` (1000) is step_coefficients().
void add_noise(Cpu& cpu, const float* x_0, const float* noise, const std::int32_t* t,
               const ops::StepCoefficients* table, std::int64_t batch, std::int64_t sample_size, float* x_t);
void add_noise(Cuda& cuda, const float* x_0, const float* noise, const std::int32_t* t,
               const ops::StepCoefficients* table, std::int64_t batch, std::int64_t sample_size, float* x_t);

}  // namespace gpumonth::ops
