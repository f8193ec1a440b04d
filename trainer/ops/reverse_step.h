// One step of the reverse process: from what the network says of x_t to x_{t-1}, with classifier-free guidance.
#pragma once

#include <cstdint>

#include "trainer/ops/device.h"
#include "trainer/ops/math.h"

namespace gpumonth::ops {

/// The reference's forward_with_cfg guides the first three channels of the network's output, whatever they are, and takes
/// the others as they are under the label.
constexpr std::int64_t kGuidedChannels = 3;

/// x_{t-1} = x_scale x_t + epsilon_scale epsilon + exp(log variance / 2) noise, rounded once from double. With v the
/// network's variance output, log variance = min_log_variance + (v + 1) / 2 log_variance_range.
struct ReverseStep {
  std::int32_t t = 0;        ///< of the full schedule, what the network is told
  std::uint32_t number = 1;  ///< counts the steps of the process from 1; keys the noise
  float x_scale = 1, epsilon_scale = 0;
  float min_log_variance = 0, log_variance_range = 0;
  bool adds_noise = false;
};

struct ReverseStepInput {
  const float* output;        ///< (B, c_out, [F,] H, W) fp32: the network's
  const float* noise;         ///< (S, C, [F,] H, W) fp32; not read where the step adds none
  std::int64_t samples;       ///< S; B = S, or 2 S where rows S .. 2 S - 1 are the same samples under the null label
  std::int64_t channels;      ///< C
  std::int64_t out_channels;  ///< c_out = C, or 2 C where the second half is the variance output
  std::int64_t plane;         ///< F H W
  bool guided;                ///< B = 2 S
  float guidance;             ///< w of null + w (conditional - null)
};

/// One channel of the network's output for one sample.
struct OutputLine {
  const float *conditional, *null;
  float guidance;
  GPUMONTH_HD float at(std::int64_t i) const { return null[i] + guidance * (conditional[i] - null[i]); }
};

GPUMONTH_HD inline OutputLine output_line(const ReverseStepInput& in, std::int64_t sample, std::int64_t channel) {
  const float* own = in.output + (sample * in.out_channels + channel) * in.plane;
  if (!in.guided || channel >= kGuidedChannels) return {own, own, 1.0f};  // own + (own - own): the same bits
  return {own, own + in.samples * in.out_channels * in.plane, in.guidance};
}

/// The variance output; without one any channel, as log_variance_range is 0 then.
GPUMONTH_HD inline OutputLine variance_line(const ReverseStepInput& in, std::int64_t sample, std::int64_t channel) {
  return output_line(in, sample, in.out_channels > in.channels ? in.channels + channel : channel);
}

GPUMONTH_HD inline float reverse_mean(const ReverseStep& s, float x, float epsilon) {
  return s.x_scale * x + s.epsilon_scale * epsilon;
}

GPUMONTH_HD inline float reverse_deviation(const ReverseStep& s, float v) {
  return fast_exp(0.5f * (s.min_log_variance + 0.5f * (v + 1.0f) * s.log_variance_range));
}

/// x (B, C, [F,] H, W) fp32, in place: rows 0 .. S - 1 are read, and rows S .. 2 S - 1 where guided become the same.
void reverse_step(Cpu& cpu, const ReverseStepInput& input, const ReverseStep& step, float* x);
void reverse_step(Cuda& cuda, const ReverseStepInput& input, const ReverseStep& step, float* x);

}  // namespace gpumonth::ops
