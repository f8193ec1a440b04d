#include "model/training_layout.h"

namespace gpumonth::model {

MemoryLayout memory_layout(const TrainingLayout& layout) {
  const std::int64_t common = layout.state_in_common() ? layout.ranks : 1;
  return {.packed = !layout.gpu,
          .weight_ranks = common,
          .optimizer_ranks = layout.sharding == Sharding::optimizer ? layout.ranks : common,
          .shard_ranks = layout.shard_ranks(),
          .sequence_ranks = layout.sequence_ranks,
          .recompute = layout.recompute,
          .accumulate = layout.accumulate};
}

}  // namespace gpumonth::model
