// One rank's samples of one step.
#pragma once

#include <cstdint>
#include <vector>

namespace gpumonth::trainer {

/// This rank's part of a global batch, in host memory.
struct Batch {
  std::vector<float> latents;        ///< (B, C, [F,] H, W)
  std::vector<std::int32_t> labels;  ///< (B), dropout already drawn
  std::vector<std::int32_t> t;       ///< (B) diffusion step, 0 .. 999
  std::vector<float> noise;          ///< given noise (B, C, [F,] H, W); empty: drawn from (seed, step, sample)
  std::int64_t first_sample = 0;     ///< global index, within the step, of this rank's first sample
};

}  // namespace gpumonth::trainer
