#include "model/gemms.h"

namespace gpumonth::model {

std::vector<Gemm> forward_gemms(const ModelConfig& model, std::int64_t samples) {
  const std::int64_t B = samples, T = model.tokens(), L = model.depth;
  const std::int64_t h = model.hidden_size, mlp = model.mlp_hidden();
  const std::int64_t heads = model.num_heads, d = model.head_dim();
  return {
      // name, m, n, k, batch, count
      {"x_embedder.proj", B * T, h, model.patch_in(), 1, 1},
      {"t_embedder.mlp.0", B, h, kFrequencyEmbeddingSize, 1, 1},
      {"t_embedder.mlp.2", B, h, h, 1, 1},
      {"blocks.adaLN_modulation.1", B, 6 * h, h, 1, L},
      {"blocks.attn.qkv", B * T, 3 * h, h, 1, L},
      {"blocks.attn.q_k", T, T, d, B * heads, L},
      {"blocks.attn.scores_v", T, d, T, B * heads, L},
      {"blocks.attn.proj", B * T, h, h, 1, L},
      {"blocks.mlp.fc1", B * T, mlp, h, 1, L},
      {"blocks.mlp.fc2", B * T, h, mlp, 1, L},
      {"final_layer.adaLN_modulation.1", B, 2 * h, h, 1, 1},
      {"final_layer.linear", B * T, model.patch_out(), h, 1, 1},
  };
}

}  // namespace gpumonth::model
