#include "model/flops.h"

namespace gpumonth::model {

std::vector<LayerFlops> layer_flops(const ModelConfig& model) {
  const std::int64_t T = model.tokens(), L = model.depth, h = model.hidden_size, m = model.mlp_hidden();
  const std::int64_t in = model.patch_in(), out = model.patch_out(), f = kFrequencyEmbeddingSize;
  const int blocks = model.depth;
  return {
      {"x_embedder", 1, h * in + h, T * in * h},
      {"t_embedder", 1, (f * h + h) + (h * h + h), f * h + h * h},
      {"y_embedder", 1, model.label_rows() * h, 0},
      {"blocks.adaLN", blocks, L * (6 * h * h + 6 * h), L * 6 * h * h},
      {"blocks.attn.qkv", blocks, L * (3 * h * h + 3 * h), L * 3 * T * h * h},
      {"blocks.attn.scores", blocks, 0, L * T * T * h},
      {"blocks.attn.values", blocks, 0, L * T * T * h},
      {"blocks.attn.proj", blocks, L * (h * h + h), L * T * h * h},
      {"blocks.mlp.fc1", blocks, L * (h * m + m), L * T * h * m},
      {"blocks.mlp.fc2", blocks, L * (m * h + h), L * T * m * h},
      {"final_layer.adaLN", 1, 2 * h * h + 2 * h, 2 * h * h},
      {"final_layer.linear", 1, out * h + out, T * out * h},
  };
}

std::int64_t forward_macs(const ModelConfig& model) { return forward_macs(model, model.tokens()); }

std::int64_t forward_macs(const ModelConfig& model, std::int64_t tokens) {
  const std::int64_t T = tokens, L = model.depth, h = model.hidden_size;
  const auto [linear, attention] = block_forward_macs(model, tokens);
  const std::int64_t block = linear + attention + 6 * h * h;
  const std::int64_t embed = T * model.patch_in() * h + kFrequencyEmbeddingSize * h + h * h;
  const std::int64_t final_layer = 2 * h * h + T * model.patch_out() * h;
  return L * block + embed + final_layer;
}

std::int64_t conditioning_forward_macs(const ModelConfig& model) {
  const std::int64_t L = model.depth, h = model.hidden_size;
  return L * 6 * h * h + 2 * h * h + kFrequencyEmbeddingSize * h + h * h;
}

std::int64_t forward_flops(const ModelConfig& model) { return 2 * forward_macs(model); }

std::int64_t train_flops(const ModelConfig& model) { return 3 * forward_flops(model); }

std::int64_t recompute_flops(const ModelConfig& model, Recompute recompute) {
  if (recompute == Recompute::none) return 0;
  const auto [linear, attention] = block_forward_macs(model, model.tokens());
  return 2 * recomputed_blocks(model) * (linear + (recompute == Recompute::full ? attention : 0));
}

std::int64_t attention_forward_macs(const ModelConfig& model) {
  return model.depth * block_forward_macs(model, model.tokens()).attention;
}

StepWork step_work(const ModelConfig& model, std::int64_t samples, Recompute recompute, int more_forwards) {
  const std::int64_t flops = train_flops(model) + more_forwards * forward_flops(model);
  StepWork work{samples * model.tokens(), static_cast<double>(flops) * static_cast<double>(samples), 0};
  work.hardware_flops =
      work.model_flops + static_cast<double>(recompute_flops(model, recompute)) * static_cast<double>(samples);
  return work;
}

}  // namespace gpumonth::model
