#include "trainer/dit/dit_weights.h"

#include <fmt/format.h>

#include <stdexcept>

namespace gpumonth::trainer {
namespace {

LinearOffsets linear(const model::ParameterTable& table, const std::string& name) {
  return {table.at(name + ".weight").offset, table.at(name + ".bias").offset};
}

}  // namespace

DitOffsets::DitOffsets(const model::ModelConfig& model, const model::ParameterTable& table) : events{model.depth} {
  final_linear = linear(table, "final_layer.linear");
  patch = linear(table, "x_embedder.proj");
  time_in = linear(table, "t_embedder.mlp.0");
  time_out = linear(table, "t_embedder.mlp.2");
  label_table = table.at("y_embedder.embedding_table.weight").offset;
  adaln = linear(table, "final_layer.adaLN_modulation.1");
  blocks.resize(model.depth);
  for (int l = 0; l < model.depth; ++l) {
    const std::string name = fmt::format("blocks.{}.", l);
    blocks[l] = {linear(table, name + "attn.qkv"), linear(table, name + "attn.proj"), linear(table, name + "mlp.fc1"),
                 linear(table, name + "mlp.fc2"), table.at(name + "adaLN_modulation.1.weight").offset};
  }

  // An event's segment starts where its tensor does and ends where the next event's of the same region does.
  const std::int64_t h = model.hidden_size;
  std::vector<std::int64_t> start(events.count());
  start[DitEvents::kFinalLinear] = final_linear.weight;
  for (int l = model.depth - 1; l >= 0; --l) {
    start[events.block(l, DitEvents::kFc2)] = blocks[l].fc2.weight;
    start[events.block(l, DitEvents::kFc1)] = blocks[l].fc1.weight;
    start[events.block(l, DitEvents::kProj)] = blocks[l].proj.weight;
    start[events.block(l, DitEvents::kQkv)] = blocks[l].qkv.weight;
  }
  start[events.patch_embedding()] = patch.weight;
  start[events.conditioning()] = time_out.weight;
  segments.resize(events.count());
  std::int64_t end = adaln.weight;
  for (int e = events.count() - 1; e >= 0; --e) {
    const bool adaln_event = e == DitEvents::kFinalAdaln || e == events.adaln_bias() ||
                             (events.is_block(e) && events.in_block(e) == DitEvents::kAdaln);
    if (adaln_event) continue;
    segments[e] = {start[e], end - start[e]};
    end = start[e];
  }
  segments[DitEvents::kFinalAdaln] = {adaln.weight, 2 * h * h};
  for (int l = 0; l < model.depth; ++l)
    segments[events.block(l, DitEvents::kAdaln)] = {blocks[l].adaln_weight, 6 * h * h};
  // Padding before the biases and behind them belongs to nobody and stays zero.
  segments[events.adaln_bias()] = {adaln.bias, (2 + 6 * model.depth) * h};
}

}  // namespace gpumonth::trainer
