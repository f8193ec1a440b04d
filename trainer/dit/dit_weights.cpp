#include "trainer/dit/dit_weights.h"

#include <fmt/format.h>

namespace gpumonth::trainer {
namespace {

LinearOffsets linear(const model::ParameterTable& table, const std::string& name) {
  return {table.at(name + ".weight").offset, table.at(name + ".bias").offset};
}

}  // namespace

DitOffsets::DitOffsets(const model::ModelConfig& model, const model::ParameterTable& table)
    : order{model.depth}, segments(model::gradient_segments(model, table)) {
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
}

}  // namespace gpumonth::trainer
