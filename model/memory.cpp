#include "model/memory.h"

#include <algorithm>

#include "model/parameters.h"
#include "model/shard_units.h"

namespace gpumonth::model {
namespace {

constexpr std::int64_t kFp32 = 4;

/// Elements of the weights that products over all tokens read, of so many blocks and of what is no block. The conditioning's
/// few rows read the fp32 master weights.
std::int64_t packed_weights(const ModelConfig& model, std::int64_t blocks) {
  const ParameterTable parameters(model);
  std::int64_t count = 0;
  for (const auto& parameter : parameters.all()) {
    const std::string& name = parameter.name;
    const bool over_tokens = name.find(".attn.") != std::string::npos || name.find(".mlp.fc") != std::string::npos ||
                             name.starts_with("x_embedder.") || name.starts_with("final_layer.linear.");
    const bool of_other_block = parameter.layer >= blocks && parameter.layer < model.depth;
    if (parameter.shape.size() >= 2 && over_tokens && !of_other_block) count += parameter.count;
  }
  return count;
}

/// With full sharding: a share of everything, and whole what is at work. Gathered weights and gradients have places for as
/// many blocks as are whole at a time, so that weights need no second copy: what products read travels in the compute type
/// to a GPU; a CPU rank packs the blocks that have come.
void add_sharded_state(const ModelConfig& model, std::int64_t E, const MemoryLayout& layout,
                       std::vector<MemoryPart>& parts) {
  const std::int64_t shard = largest_shard(model, layout.shard_ranks), blocks = gathered_blocks(model);
  const ShardUnits units = shard_units(model);
  const std::int64_t products = layout.packed ? kFp32 : E;  // an element of the gathered blocks' products
  const auto add = [&parts](MemoryKind kind, const char* what, std::int64_t bytes) {
    if (bytes > 0) parts.push_back({kind, what, bytes});
  };
  add(MemoryKind::weights, "fp32 master weights, a shard", shard * kFp32);
  add(MemoryKind::weights, "gathered: what is no block, fp32", units.outer * kFp32);
  add(MemoryKind::weights, "gathered: blocks", blocks * (units.block_products * products + units.block_adaln * kFp32));
  if (layout.packed) {
    const std::int64_t packed = packed_weights(model, blocks) * E;
    add(MemoryKind::packed_weights, "forward layout of the gathered weights", packed);
    add(MemoryKind::packed_weights, "their backward-data layout (bf16 only)", E < kFp32 ? packed : 0);
  } else if (E < kFp32) {
    add(MemoryKind::packed_weights, "bf16 copy of the shard", shard * E);
    add(MemoryKind::packed_weights, "bf16 copy of what is no block", units.outer * E);
  }
  add(MemoryKind::gradients, "fp32 gradients, a shard", shard * kFp32);
  add(MemoryKind::gradients, "whole fp32 gradients: what is no block", units.outer * kFp32);
  add(MemoryKind::gradients, "whole fp32 gradients: blocks", blocks * units.block() * kFp32);
  add(MemoryKind::optimizer, "exp_avg, a shard", shard * kFp32);
  add(MemoryKind::optimizer, "exp_avg_sq, a shard", shard * kFp32);
  add(MemoryKind::ema, "EMA of the weights, a shard", shard * kFp32);
}

/// Of one rank, whatever its batch.
void add_state(const ModelConfig& model, std::int64_t E, const MemoryLayout& layout, std::vector<MemoryPart>& parts) {
  if (layout.shard_ranks > 1) return add_sharded_state(model, E, layout, parts);
  const std::int64_t flat = ParameterTable(model).flat_size() * kFp32;
  const auto add = [&parts](MemoryKind kind, const char* what, std::int64_t bytes, std::int64_t ranks) {
    parts.push_back({kind, what, (bytes + ranks - 1) / ranks});
  };
  add(MemoryKind::weights, "fp32 master weights", flat, layout.weight_ranks);
  if (layout.packed) {
    const std::int64_t packed = packed_weights(model, model.depth) * E;
    add(MemoryKind::packed_weights, "forward layout", packed, layout.weight_ranks);
    const bool two_layouts = E < kFp32 && layout.use != Use::forward;
    add(MemoryKind::packed_weights, "backward-data layout (bf16 only)", two_layouts ? packed : 0, layout.weight_ranks);
  } else {
    add(MemoryKind::packed_weights, "bf16 copy of the weights", E < kFp32 ? flat / kFp32 * E : 0, 1);
  }
  if (layout.use == Use::forward) return;
  add(MemoryKind::gradients, "fp32 gradients", flat, 1);
  if (layout.accumulate > 1) add(MemoryKind::gradients, "fp32 sum of the micro-batches before the last", flat, 1);
  if (layout.use == Use::backward) return;
  add(MemoryKind::optimizer, "exp_avg", flat, layout.optimizer_ranks);
  add(MemoryKind::optimizer, "exp_avg_sq", flat, layout.optimizer_ranks);
  add(MemoryKind::ema, "EMA of the weights", flat, layout.optimizer_ranks);
}

/// What forward saves for backward. Bytes per token and block, per token, per sample. Forward alone keeps one block's
/// input, and of the rest what recompute does. Ranks that share a sample: its qkv, attention's output and log-sum-exp are
/// those of a share of the heads and all tokens, as many bytes as of all heads and a share of the tokens; the output of the
/// rank's own tokens, which the projection's weights need, comes on top.
void add_activations(const ModelConfig& model, std::int64_t batch, std::int64_t E, const MemoryLayout& layout,
                     std::vector<MemoryPart>& parts) {
  const bool backward = layout.use != Use::forward;
  const std::int64_t h = model.hidden_size, mlp = model.mlp_hidden();
  const std::int64_t per_token = batch * ((model.tokens() + layout.sequence_ranks - 1) / layout.sequence_ranks);
  const std::int64_t per_token_block =
      per_token * (layout.recompute != Recompute::none || !backward ? std::min(2, model.depth) : model.depth);
  const std::int64_t attention_kept =
      layout.recompute != Recompute::full && backward ? per_token * model.depth : per_token_block;
  const auto add = [&parts](const char* what, std::int64_t bytes) {
    parts.push_back({MemoryKind::activations, what, bytes});
  };
  add("residual stream before each block", per_token * (backward ? model.depth : 1) * kFp32 * h);
  add("residual stream inside each block", per_token_block * kFp32 * h);
  add("LayerNorm mean and 1/sigma", per_token_block * 4 * kFp32);
  add("modulated LayerNorm outputs", per_token_block * 2 * E * h);
  add("qkv", per_token_block * 3 * E * h);
  add("attention output", attention_kept * E * h);
  if (layout.sequence_ranks > 1) {
    add("attention output of the own tokens", attention_kept * E * h);
    add("qkv of the own tokens, and by rank for the all-to-all", per_token * 2 * 3 * E * h);
  }
  add("attention log-sum-exp", attention_kept * kFp32 * model.num_heads);
  add("proj and fc2 outputs", per_token_block * 2 * E * h);
  add("fc1 before and after GELU", per_token_block * 2 * E * mlp);
  add("input patches", per_token * E * model.patch_in());
  add("final layer input", per_token * (kFp32 * h + E * h + 2 * kFp32));
  add("prediction and its gradient", per_token * (backward ? 2 : 1) * kFp32 * model.patch_out());
  if (backward)
    add("gradients in flight, reused by every block", per_token * (kFp32 * h + 3 * E * h + E * std::max(mlp, 3 * h)));
  add("conditioning and modulations", batch * kFp32 * h * (2 + 6 * model.depth + 3));
}

}  // namespace

const char* name(MemoryKind kind) {
  switch (kind) {
    case MemoryKind::weights: return "weights";
    case MemoryKind::packed_weights: return "packed_weights";
    case MemoryKind::gradients: return "gradients";
    case MemoryKind::optimizer: return "optimizer";
    case MemoryKind::ema: return "ema";
    case MemoryKind::activations: return "activations";
  }
  return "?";
}

std::vector<MemoryPart> memory_parts(const ModelConfig& model, std::int64_t batch_per_rank, Dtype dtype,
                                     const MemoryLayout& layout) {
  std::vector<MemoryPart> parts;
  add_state(model, bytes_per_element(dtype), layout, parts);
  add_activations(model, batch_per_rank / layout.accumulate, bytes_per_element(dtype), layout, parts);
  return parts;
}

std::int64_t sum(const std::vector<MemoryPart>& parts) {
  std::int64_t bytes = 0;
  for (const auto& part : parts) bytes += part.bytes;
  return bytes;
}

std::int64_t sum(const std::vector<MemoryPart>& parts, MemoryKind kind) {
  std::int64_t bytes = 0;
  for (const auto& part : parts) bytes += part.kind == kind ? part.bytes : 0;
  return bytes;
}

}  // namespace gpumonth::model
