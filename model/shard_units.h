// What full sharding gathers, and gives back, at a time: a block, or everything that is no block ("outer": final layer,
// embedders, the modulations' biases), which is gathered once a step and whole until its end. Every segment of a unit
// (gradient_segments.h) is cut into a share for each rank by itself, see base/bucket_shares.h.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/bucket_shares.h"
#include "model/config.h"

namespace gpumonth::model {

/// Blocks whose weights and gradients are whole at a time: the one at work and the next on its way, or the one before on
/// its way back.
inline int gathered_blocks(const ModelConfig& model) { return std::min(kBlockSlots, model.depth); }

/// Elements. All blocks are alike.
struct ShardUnits {
  std::int64_t outer = 0;
  std::int64_t block_products = 0;  ///< fc2, fc1, proj, qkv: what products over all tokens read, with its biases
  std::int64_t block_adaln = 0;     ///< weights of a block's modulation, 6 h^2
  std::int64_t block() const { return block_products + block_adaln; }
};
ShardUnits shard_units(const ModelConfig& model);

/// Elements of the state that one of `ranks` holds: its part of every segment, each to a multiple of 16 (64 bytes). The last
/// rank's, which has what is left over of equal shares, up to 5 x ranks elements a segment; the others hold as much or less.
std::int64_t largest_shard(const ModelConfig& model, std::int64_t ranks);
/// Parameters that the first of several ranks holds: equal shares alone.
std::int64_t first_shard(const ModelConfig& model, std::int64_t ranks);

}  // namespace gpumonth::model
