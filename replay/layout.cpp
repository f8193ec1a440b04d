#include "replay/layout.h"

#include "base/error.h"
#include "model/flops.h"
#include "model/gradient_segments.h"
#include "model/sequence_ranks.h"
#include "replay/replayed_steps.h"

namespace gpumonth::replay {

ShareOfSamples share_of_samples(const RecordedConfig& config, int sequence_ranks) {
  const auto share = [&](std::int64_t all, std::int64_t conditioning) {
    return static_cast<double>(conditioning + (all - conditioning) / sequence_ranks) / static_cast<double>(all);
  };
  const std::int64_t forward = model::forward_macs(config.model);
  const std::int64_t backward = model::backward_macs(config.model, model::recompute_named(config.recompute)).back();
  const std::int64_t conditioning = model::conditioning_forward_macs(config.model);
  return {share(forward, conditioning), share(backward, 2 * conditioning)};
}

void require_layout(const Recording& recording, const WhatIf& changes) {
  const RecordedConfig config = changed(recording.config, changes);
  const int sharing = config.sequence_parallel;
  if (changes.shard_group > 0 && config.sharding != "full")
    user_error("--shard-group {} is of --sharding full: give both, or leave it out", changes.shard_group);
  if (const std::int64_t batch = batch_per_rank(recording, changes); batch % config.accumulate != 0)
    user_error(
        "{} samples a rank are not {} micro-batches: give --batch-per-rank a multiple of {}, or --accumulate a divisor",
        batch, config.accumulate, config.accumulate);
  if ((config.sharding == "full" || sharing > 1) && config.objective != "diffusion")
    user_error(
        "{} is a distillation, whose step runs the network several times: give --sharding none or optimizer, and no "
        "--sequence-parallel",
        recording.paths.front());
  if (sharing == 1) return;
  if (const auto why_not = model::why_not_shared(config.model, sharing))
    user_error("--sequence-parallel {}: {}", sharing, *why_not);
}

PassEvents passes_of(const Recording& recording, const RecordedConfig& config, std::span<const Bucket> buckets,
                     bool gathers) {
  PassPlan plan{.block = block_parts(config.model),
                .forward = forward_shares(config.model),
                .ready = shares_of_last(recording.ready.share, recording.config.accumulate),
                .buckets = {},
                .gathers = gathers,
                .exchanges = config.sequence_parallel > 1,
                .recompute = model::recompute_named(config.recompute)};
  for (const Bucket& bucket : buckets) plan.buckets.push_back(bucket.last_segment);
  return pass_events(plan);
}

std::int64_t exchanged_bytes(const Recording& recording, const RecordedConfig& config, std::int64_t batch) {
  const std::int64_t values =
      batch / config.accumulate * (config.model.tokens() / config.sequence_parallel) * config.model.hidden_size;
  return values * (recording.info.dtype == "bf16" ? 2 : 4);
}

bool gathers_bf16(const Recording& recording) {
  return recording.info.backend != "cpu" && recording.info.dtype == "bf16";
}

}  // namespace gpumonth::replay
