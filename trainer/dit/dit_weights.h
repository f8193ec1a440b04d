// Where each DiT tensor lies, by role. The same offsets serve parameters and gradients.
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

/// Where the segments lie in memory.
enum class Placement {
  flat,  ///< in the flat table
  slots  ///< blocks take turns, two at a time; comm/sharded_storage.h
};

struct DitOffsets {
  DitOffsets(const model::ModelConfig& model, const model::ParameterTable& table,
             Placement placement = Placement::flat);

  std::vector<BlockOffsets> blocks;
  LinearOffsets patch, time_in, time_out, final_linear;
  LinearOffsets adaln;  ///< all modulations: weight ((2 + 6 depth) h, h), final layer first, then block depth-1 .. 0
  std::int64_t label_table = 0;
  SegmentOrder order;
  std::vector<Segment> segments;  ///< in that order, in the flat table

  std::vector<std::int64_t>
      places;             ///< of the segments: first element in memory, which is what all offsets above count
  std::int64_t size = 0;  ///< elements of that memory
  int rooms = 0;          ///< blocks that are there at a time; block l has room l % rooms
  Placement placement;
  /// What the products over tokens read, which may be held in another type, and what others read in fp32. Both may be all.
  Segment typed, fp32;
};

}  // namespace gpumonth::trainer
