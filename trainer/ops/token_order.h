// Where the pixels of the patches lie in a latent, in the order of the final linear layer's tokens: (token, frame, line and
// pixel of the patch), channels innermost.
#pragma once

#include "trainer/ops/bf16.h"
#include "trainer/ops/patchify.h"

namespace gpumonth::ops {

/// The value that belongs at (pixel of a sample in token order) of a channel's plane. 32 bits: the sample is smaller.
GPUMONTH_HD inline unsigned plane_offset(const LatentShape& s, unsigned pixel) {
  const auto patch = static_cast<unsigned>(s.patch), temporal_patch = static_cast<unsigned>(s.temporal_patch);
  const auto width = static_cast<unsigned>(s.width), height = static_cast<unsigned>(s.height);
  const unsigned line = pixel / patch, patch_frame = line / patch, token = patch_frame / temporal_patch;
  const unsigned row = token / (width / patch);
  const unsigned x = token % (width / patch) * patch + pixel % patch;
  const unsigned y = row % (height / patch) * patch + line % patch;
  const unsigned frame = row / (height / patch) * temporal_patch + patch_frame % temporal_patch;
  return (frame * height + y) * width + x;
}

}  // namespace gpumonth::ops
