// Where and when backward finishes the gradients of the DiT: the contract between the trainer, which does it, and a replay
// or a simulation of a recorded step.
#pragma once

#include <cstdint>
#include <vector>

#include "base/bucket_plan.h"
#include "model/parameters.h"
#include "model/recompute.h"

namespace gpumonth::model {

/// The order in which backward finishes the segments of the gradients, see parameters.h. Each is one piece of the
/// flat buffer.
struct SegmentOrder {
  static constexpr int kFinalLinear = 0, kFinalAdaln = 1, kPerBlock = 5;
  enum InBlock { kFc2, kFc1, kProj, kQkv, kAdaln };
  int depth;
  int block(int layer, InBlock which) const { return 2 + (depth - 1 - layer) * kPerBlock + which; }
  bool is_block(int segment) const { return segment >= 2 && segment < patch_embedding(); }
  int layer(int segment) const { return is_block(segment) ? depth - 1 - (segment - 2) / kPerBlock : -1; }
  InBlock in_block(int segment) const {
    return static_cast<InBlock>((segment - 2) % kPerBlock);
  }  ///< of a block's segment
  /// A block's, but its modulation: weights that products over all tokens read, in the compute type.
  bool is_product(int segment) const { return is_block(segment) && in_block(segment) != kAdaln; }
  int patch_embedding() const { return 2 + depth * kPerBlock; }
  int adaln_bias() const { return patch_embedding() + 1; }
  int conditioning() const { return patch_embedding() + 2; }
  int count() const { return patch_embedding() + 3; }
};

/// In the order of SegmentOrder. Padding between the adaLN regions belongs to no segment.
std::vector<Segment> gradient_segments(const ModelConfig& model, const ParameterTable& table);

/// MACs per sample of backward until each segment is ready, as trainer/dit orders the products; the last is all of
/// backward. The blocks' forward that backward does again with `recompute` is in them.
std::vector<std::int64_t> backward_macs(const ModelConfig& model, Recompute recompute);

}  // namespace gpumonth::model
