#include "model/communication.h"

#include "model/flops.h"
#include "model/gradient_segments.h"
#include "model/shard_units.h"

namespace gpumonth::model {
namespace {

constexpr std::int64_t kWideBytes = bytes_per_element(Dtype::fp32);

/// What a rank of n sends of `bytes` in a reduce-scatter, an all-gather, or as its own in an all-to-all.
std::int64_t of_others(std::int64_t bytes, std::int64_t n) {
  return bytes / n * (n - 1) + bytes % n * (n - 1) / n;  // the product of both could be too large
}

/// Elements of the segments.
std::int64_t trained_elements(const ModelConfig& model) {
  const ShardUnits units = shard_units(model);
  return units.outer + model.depth * units.block();
}

class Parts {
 public:
  void add(SentKind kind, SentPhase phase, const char* what, std::int64_t bytes) {
    if (bytes > 0) list.push_back({kind, phase, what, bytes});
  }
  std::vector<SentPart> list;
};

void add_full(const ModelConfig& model, Dtype dtype, const TrainingLayout& layout, Parts& parts) {
  const std::int64_t group = layout.shard_ranks(), groups = layout.ranks / group;
  const ShardUnits units = shard_units(model);
  const std::int64_t products = layout.gpu ? bytes_per_element(dtype) : kWideBytes;
  const std::int64_t block = units.block_products * products + units.block_adaln * kWideBytes;
  const auto [forward, backward] = gathered_in_step(model, layout.accumulate);
  parts.add(SentKind::gathered, SentPhase::forward, "weights of what is no block",
            of_others(units.outer * kWideBytes, group));
  parts.add(SentKind::gathered, SentPhase::forward, "blocks' weights before their forward",
            of_others(forward * block, group));
  parts.add(SentKind::gathered, SentPhase::backward, "blocks' weights before their backward",
            of_others(backward * block, group));
  const std::int64_t gradients = trained_elements(model) * bytes_per_element(layout.wire);
  parts.add(SentKind::reduced, SentPhase::backward, "gradients, reduce-scattered",
            layout.accumulate * of_others(gradients, group));
  parts.add(SentKind::reduced, SentPhase::backward, "their shards, all-reduced over the groups",
            2 * of_others(first_shard(model, group) * kWideBytes, groups));
}

/// Without full sharding. Micro-batches send nothing but their sum.
void add_replicated(const ModelConfig& model, const TrainingLayout& layout, Parts& parts) {
  const std::int64_t elements = trained_elements(model), n = layout.ranks;
  const std::int64_t gradients = elements * bytes_per_element(layout.wire);
  if (layout.sharding == Sharding::none || layout.state_in_common())
    return parts.add(SentKind::reduced, SentPhase::backward, "gradients, all-reduced", 2 * of_others(gradients, n));
  // CPU ranks reduce whole buckets and keep their part
  if (layout.gpu)
    parts.add(SentKind::reduced, SentPhase::backward, "gradients, reduce-scattered", of_others(gradients, n));
  else
    parts.add(SentKind::reduced, SentPhase::backward, "gradients, all-reduced", 2 * of_others(gradients, n));
  parts.add(SentKind::gathered, SentPhase::update, "updated weights", of_others(elements * kWideBytes, n));
}

void add_sequence(const ModelConfig& model, std::int64_t batch, Dtype dtype, const TrainingLayout& layout,
                  Parts& parts) {
  const std::int64_t s = layout.sequence_ranks;
  const ExchangedTensors tensors = exchanged_in_pass(model, layout.recompute);
  const std::int64_t one = batch * model.tokens() / s * model.hidden_size * bytes_per_element(dtype);  // q, or k ...
  const auto add = [&](SentPhase phase, const char* what, std::int64_t count) {
    parts.add(SentKind::exchanged, phase, what, of_others(count * one, s));
  };
  const char* const again = layout.recompute == Recompute::full ? "q, k, v and attention's output, computed again"
                                                                : "q, k, v, computed again";
  add(SentPhase::forward, "q, k, v and attention's output", tensors.forward);
  add(SentPhase::backward, again, tensors.again);
  add(SentPhase::backward, "their gradients", tensors.gradients);
}

template <class Field, class Value>
std::int64_t sum_where(const std::vector<SentPart>& parts, Field field, Value value) {
  std::int64_t bytes = 0;
  for (const SentPart& part : parts) bytes += part.*field == value ? part.bytes : 0;
  return bytes;
}

}  // namespace

const char* name(SentKind kind) {
  switch (kind) {
    case SentKind::reduced: return "reduced";
    case SentKind::gathered: return "gathered";
    case SentKind::exchanged: return "exchanged";
  }
  return "?";
}

const char* name(SentPhase phase) {
  switch (phase) {
    case SentPhase::forward: return "forward";
    case SentPhase::backward: return "backward";
    case SentPhase::update: return "update";
  }
  return "?";
}

ExchangedTensors exchanged_in_pass(const ModelConfig& model, Recompute recompute) {
  const int again = recompute == Recompute::full ? 4 : recompute == Recompute::linear ? 3 : 0;
  return {4 * std::int64_t{model.depth}, again * recomputed_blocks(model), 4 * std::int64_t{model.depth}};
}

GatheredBlocks gathered_in_step(const ModelConfig& model, std::int64_t micro_batches) {
  const std::int64_t others = model.depth - gathered_blocks(model);
  return {model.depth + (micro_batches - 1) * others, micro_batches * others};
}

std::vector<SentPart> sent_parts(const ModelConfig& model, std::int64_t batch_per_rank, Dtype dtype,
                                 const TrainingLayout& layout) {
  Parts parts;
  if (layout.sharding == Sharding::full)
    add_full(model, dtype, layout, parts);
  else
    add_replicated(model, layout, parts);
  add_sequence(model, batch_per_rank, dtype, layout, parts);
  return std::move(parts.list);
}

std::int64_t sum(const std::vector<SentPart>& parts) {
  std::int64_t bytes = 0;
  for (const SentPart& part : parts) bytes += part.bytes;
  return bytes;
}

std::int64_t sum(const std::vector<SentPart>& parts, SentKind kind) { return sum_where(parts, &SentPart::kind, kind); }

std::int64_t sum(const std::vector<SentPart>& parts, SentPhase phase) {
  return sum_where(parts, &SentPart::phase, phase);
}

}  // namespace gpumonth::model
