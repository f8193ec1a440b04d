#include "trainer/dit/dit_weights.h"

#include <fmt/format.h>

#include <stdexcept>

namespace gpumonth::trainer {
namespace {

LinearOffsets linear(const model::ParameterTable& table, const std::string& name) {
  return {table.at(name + ".weight").offset, table.at(name + ".bias").offset};
}

}  // namespace

DitOffsets::DitOffsets(const model::ModelConfig& model, const model::ParameterTable& table) : order{model.depth} {
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

  // A segment starts where its tensor does and ends where the next one of the same region does.
  const std::int64_t h = model.hidden_size;
  std::vector<std::int64_t> start(order.count());
  start[SegmentOrder::kFinalLinear] = final_linear.weight;
  for (int l = model.depth - 1; l >= 0; --l) {
    start[order.block(l, SegmentOrder::kFc2)] = blocks[l].fc2.weight;
    start[order.block(l, SegmentOrder::kFc1)] = blocks[l].fc1.weight;
    start[order.block(l, SegmentOrder::kProj)] = blocks[l].proj.weight;
    start[order.block(l, SegmentOrder::kQkv)] = blocks[l].qkv.weight;
  }
  start[order.patch_embedding()] = patch.weight;
  start[order.conditioning()] = time_out.weight;
  segments.resize(order.count());
  std::int64_t end = adaln.weight;
  for (int e = order.count() - 1; e >= 0; --e) {
    const bool is_adaln = e == SegmentOrder::kFinalAdaln || e == order.adaln_bias() ||
                          (order.is_block(e) && order.in_block(e) == SegmentOrder::kAdaln);
    if (is_adaln) continue;
    segments[e] = {start[e], end - start[e]};
    end = start[e];
  }
  segments[SegmentOrder::kFinalAdaln] = {adaln.weight, 2 * h * h};
  for (int l = 0; l < model.depth; ++l)
    segments[order.block(l, SegmentOrder::kAdaln)] = {blocks[l].adaln_weight, 6 * h * h};
  // Padding before the biases and behind them belongs to nobody and stays zero.
  segments[order.adaln_bias()] = {adaln.bias, (2 + 6 * model.depth) * h};
}

}  // namespace gpumonth::trainer
