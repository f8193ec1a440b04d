// A recorded step in another layout on its ranks: weights in shards, several micro-batches, samples that ranks share.
#pragma once

#include <span>

#include "base/bucket_plan.h"
#include "replay/pass_events.h"
#include "replay/recording.h"
#include "replay/what_if.h"

namespace gpumonth::replay {

/// What a rank's compute is that shares its samples with others, over what it is alone, by multiply-adds: of its tokens' part, linear
/// layers of T/s tokens and attention of H/s heads over all, 1/s, and the conditioning, once a sample, whole. Assumed: products of
/// fewer tokens and heads are as fast as those of all; packing for all-to-alls, copies in memory, takes no time; gradients are ready
/// after the same shares of backward.
struct ShareOfSamples {
  double forward = 1, backward = 1;
};
ShareOfSamples share_of_samples(const RecordedConfig& config, int sequence_ranks);

/// UserError, on any number of ranks: a group without full sharding, samples that are not so many micro-batches, a
/// distillation in shards, samples that cannot be shared by so many.
void require_layout(const Recording& recording, const WhatIf& changes);

/// What the passes of a micro-batch ask for in a step of `config`, which is changed(recording.config), with the recorded shares of
/// backward. `buckets`: of the gradients, each segment one where `gathers` (full sharding).
PassEvents passes_of(const Recording& recording, const RecordedConfig& config, std::span<const Bucket> buckets,
                     bool gathers);

/// Bytes of one tensor (tokens, width) of a rank's micro-batch that shares its samples, `batch` of them in a step, with
/// config.sequence_parallel - 1 others: what trainer/dit/split_attention.h sends as q, k, v or attention's output.
std::int64_t exchanged_bytes(const Recording& recording, const RecordedConfig& config, std::int64_t batch);

/// Weights of products are read, and gathered, in bf16: a GPU's.
bool gathers_bf16(const Recording& recording);

}  // namespace gpumonth::replay
