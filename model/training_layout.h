// How a training lies on its ranks: what memory.h and communication.h count by, one description for `gpumonth flops`, the
// budget's plan and the simulation.
#pragma once

#include <cstdint>

#include "model/memory.h"
#include "model/sharding.h"

namespace gpumonth::model {

struct TrainingLayout {
  std::int64_t ranks = 1;  ///< all of them
  Sharding sharding = Sharding::none;
  std::int64_t shard_group = 0;  ///< full sharding: ranks that hold one state in shares; groups are alike. 0: all ranks
  std::int64_t sequence_ranks = 1;  ///< that share a sample's tokens (Ulysses, arXiv:2309.14509)
  bool gpu = false;
  std::int64_t ranks_per_host = 1;  ///< CPU: a host's ranks, where they are all, hold the state in common
  Recompute recompute = Recompute::none;
  std::int64_t accumulate = 1;  ///< micro-batches
  Dtype wire = Dtype::fp32;     ///< GPU: gradients on their way

  /// Ranks that full sharding shares the state among; 1: whole on each.
  std::int64_t shard_ranks() const { return sharding != Sharding::full ? 1 : shard_group > 0 ? shard_group : ranks; }
  /// CPU ranks of one host hold the state once, and update a part each; not with full sharding.
  bool state_in_common() const { return !gpu && sharding != Sharding::full && ranks > 1 && ranks_per_host == ranks; }
};

/// What the layout says of one rank's buffers.
MemoryLayout memory_layout(const TrainingLayout& layout);

}  // namespace gpumonth::model
