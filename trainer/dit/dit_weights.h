// Where each DiT tensor lies in the flat buffer, by role. The same offsets serve parameters and gradients.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/gradient_segments.h"
#include "model/parameters.h"

namespace gpumonth::trainer {

struct LinearOffsets {
  std::int64_t weight = 0, bias = 0;  ///< elements
};

struct BlockOffsets {
  LinearOffsets qkv, proj, fc1, fc2;
  std::int64_t adaln_weight = 0;
};

using model::SegmentOrder;

struct DitOffsets {
  DitOffsets(const model::ModelConfig& model, const model::ParameterTable& table);

  std::vector<BlockOffsets> blocks;
  LinearOffsets patch, time_in, time_out, final_linear;
  LinearOffsets adaln;  ///< all modulations: weight ((2 + 6 depth) h, h), final layer first, then block depth-1 .. 0
  std::int64_t label_table = 0;
  SegmentOrder order;
  std::vector<Segment> segments;  ///< in that order
};

}  // namespace gpumonth::trainer
