// Bytes that one rank holds while it trains, or less than that, part by part. The table in memory.cpp is
// the list of buffers of the trainer: change both together.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/config.h"
#include "model/dtype.h"
#include "model/recompute.h"

namespace gpumonth::model {

enum class MemoryKind { weights, packed_weights, gradients, optimizer, ema, activations };
const char* name(MemoryKind kind);  ///< "packed_weights"

struct MemoryPart {
  MemoryKind kind;
  std::string what;  ///< "qkv"
  std::int64_t bytes;
};

/// What a model is held for. backward: without moments and EMA; forward: without gradients and what backward reads,
/// too.
enum class Use { training, backward, forward };

/// How a backend holds the state.
struct MemoryLayout {
  bool packed = true;             ///< CPU: oneDNN's layouts of the weights; false, GPU: one copy in the compute type
  std::int64_t weight_ranks = 1;  ///< ranks that hold master weights and packed weights in common (CPU ranks of a host)
  std::int64_t optimizer_ranks = 1;       ///< ranks that hold moments and EMA in common, or a shard each
  std::int64_t shard_ranks = 1;           ///< full sharding: ranks that hold a share each of all state (shard_units.h)
  std::int64_t sequence_ranks = 1;        ///< ranks that hold a share each of every sample's tokens, or of its heads
  Recompute recompute = Recompute::none;  ///< otherwise two sets of what is computed again take turns
  std::int64_t accumulate = 1;            ///< micro-batches: activations of one of them, and the sum of their gradients
  Use use = Use::training;
};

/// Everything that one rank holds for `batch_per_rank` samples per step (where ranks share samples: those that it has a part
/// of), a multiple of layout.accumulate, computing in `dtype` over fp32 master weights; of what ranks hold in common, its
/// share. Not counted: the batch itself, communication buffers, library workspaces, the program.
std::vector<MemoryPart> memory_parts(const ModelConfig& model, std::int64_t batch_per_rank, Dtype dtype,
                                     const MemoryLayout& layout = {});

std::int64_t sum(const std::vector<MemoryPart>& parts);
std::int64_t sum(const std::vector<MemoryPart>& parts, MemoryKind kind);

}  // namespace gpumonth::model
