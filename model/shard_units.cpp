#include "model/shard_units.h"

#include "model/gradient_segments.h"

namespace gpumonth::model {

ShardUnits shard_units(const ModelConfig& model) {
  const SegmentOrder order{model.depth};
  const std::vector<Segment> segments = gradient_segments(model, ParameterTable(model));
  ShardUnits units;
  for (int s = 0; s < order.count(); ++s) {
    const std::int64_t count = segments[static_cast<std::size_t>(s)].count;
    if (!order.is_block(s))
      units.outer += count;
    else if (order.layer(s) == 0)
      (order.in_block(s) == SegmentOrder::kAdaln ? units.block_adaln : units.block_products) += count;
  }
  return units;
}

std::int64_t largest_shard(const ModelConfig& model, std::int64_t ranks) {
  const auto n = static_cast<int>(ranks);
  std::int64_t elements = 0;
  for (const Segment& segment : gradient_segments(model, ParameterTable(model)))
    elements += room_in_shard(share_of(segment, n) + rest_of(segment, n).count);
  return elements;
}

std::int64_t first_shard(const ModelConfig& model, std::int64_t ranks) {
  std::int64_t elements = 0;
  for (const Segment& segment : gradient_segments(model, ParameterTable(model)))
    elements += share_of(segment, static_cast<int>(ranks));
  return elements;
}

}  // namespace gpumonth::model
