// Where each DiT tensor lies in the flat buffer, by role. The same offsets serve parameters and gradients.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "comm/gradient_reducer.h"
#include "model/parameters.h"

namespace gpumonth::trainer {

struct LinearOffsets {
  std::int64_t weight = 0, bias = 0;  ///< elements
};

struct BlockOffsets {
  LinearOffsets qkv, proj, fc1, fc2;
  std::int64_t adaln_weight = 0;
};

/// The order in which backward finishes the segments of the gradients, see model/parameters.h. Each is one piece of the
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
  int patch_embedding() const { return 2 + depth * kPerBlock; }
  int adaln_bias() const { return patch_embedding() + 1; }
  int conditioning() const { return patch_embedding() + 2; }
  int count() const { return patch_embedding() + 3; }
};

struct DitOffsets {
  DitOffsets(const model::ModelConfig& model, const model::ParameterTable& table);

  std::vector<BlockOffsets> blocks;
  LinearOffsets patch, time_in, time_out, final_linear;
  LinearOffsets adaln;  ///< all modulations: weight ((2 + 6 depth) h, h), final layer first, then block depth-1 .. 0
  std::int64_t label_table = 0;
  SegmentOrder order;
  std::vector<comm::Segment> segments;  ///< in that order
};

}  // namespace gpumonth::trainer
