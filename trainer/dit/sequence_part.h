// Which part of a sample a rank has that shares it with others: T / s consecutive tokens, which are a run of whole lines of
// the latent (frames one below the other), or of whole frames where patches are longer than a frame. So it is a smaller
// sample of its own, of each channel's plane a run, and only attention (split_attention.h) knows that there is more.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "comm/exchange.h"
#include "model/config.h"
#include "trainer/ops/noising.h"
#include "trainer/ops/patchify.h"

namespace gpumonth::trainer {

/// Ranks that share samples (run.sequence_parallel), as one of them sees it.
struct Sequence {
  int ranks = 1;       ///< s: consecutive ones of the run; model::why_not_shared() finds nothing against it
  int rank = 0;        ///< this one's place among them
  bool alone = false;  ///< works as one of them does, and the others are not there (run.sequence_parallel_emulated)
  std::shared_ptr<comm::Exchange> exchange = nullptr;  ///< between them; whoever makes the training step makes it

  bool shared() const { return ranks > 1; }
};

/// The part as a sample: its tokens are the rank's.
inline ops::LatentShape part_shape(const model::ModelConfig& m, const Sequence& s) {
  ops::LatentShape shape = ops::latent_shape(m);
  if (shape.temporal_patch > 1) {
    shape.frames /= s.ranks;
  } else if (s.shared()) {
    shape.height = shape.frames * shape.height / s.ranks;
    shape.frames = 1;
  }
  return shape;
}

/// Of each channel's plane, the run that is this rank's.
inline ops::NoisePart part_of_planes(const model::ModelConfig& m, const Sequence& s) {
  const std::int64_t plane = ops::latent_shape(m).plane(), count = plane / s.ranks;
  return {m.in_channels, plane, s.rank * count, count};
}

/// `parts` (B, C, part) from `whole` samples (B, C, [F,] H, W).
inline void take_parts(const std::vector<float>& whole, const ops::NoisePart& part, std::vector<float>& parts) {
  const auto plane = static_cast<std::size_t>(part.plane), count = static_cast<std::size_t>(part.count);
  const std::size_t planes = whole.size() / plane;
  parts.resize(planes * count);
  for (std::size_t p = 0; p < planes; ++p)
    std::copy_n(whole.data() + p * plane + static_cast<std::size_t>(part.first), count, parts.data() + p * count);
}

}  // namespace gpumonth::trainer
