// Arithmetic of one forward pass of one sample, by formula. 1 MAC = 2 FLOPs; backward = 2 x forward; model
// FLOPs exclude recompute. Norms, activations, softmax, biases and the loss are left out, as in the DiT
// paper, whose "Gflops" (Peebles and Xie, "Scalable Diffusion Models with Transformers", ICCV 2023, table 4)
// are MACs.
//
// T tokens, depth L, width h, MLP width m, p x c values per patch:
//   L (4 T h^2 + 2 T h m + 2 T^2 h + 6 h^2) + 2 h^2 + T p c h + T p c_out h + (256 h + h^2)
// adaLN runs once per sample, not per token: that is why 6 x parameters is wrong for a DiT.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/config.h"
#include "model/recompute.h"

namespace gpumonth::model {

/// All layers of one kind, summed over the blocks.
struct LayerFlops {
  std::string name;           ///< "attn.qkv"
  int count;                  ///< how many of them: depth, or 1
  std::int64_t parameters;    ///< of all of them together
  std::int64_t forward_macs;  ///< of all of them together, per sample
};

/// Every kind of layer in the order of the forward pass.
std::vector<LayerFlops> layer_flops(const ModelConfig& model);

/// Forward MACs of one block and one sample, by its two kinds of layers: what grows with the tokens (products) and what
/// with their square (scores, weighted sum). Without adaLN, once a sample. Count: std::int64_t, exact, for samples that a
/// model can have; double for any length.
template <class Count>
struct BlockMacs {
  Count linear, attention;
};
template <class Count>
BlockMacs<Count> block_forward_macs(const ModelConfig& model, Count tokens) {
  const auto h = static_cast<Count>(model.hidden_size), m = static_cast<Count>(model.mlp_hidden());
  return {tokens * (4 * h * h + 2 * h * m), 2 * tokens * tokens * h};
}

/// Whose activations are gone when backward reaches them, where a training recomputes: all blocks but the last two.
inline int recomputed_blocks(const ModelConfig& model) { return model.depth > 2 ? model.depth - 2 : 0; }

std::int64_t forward_macs(const ModelConfig& model);  ///< per sample
/// Per sample of so many tokens, whatever the size of the model's own samples.
std::int64_t forward_macs(const ModelConfig& model, std::int64_t tokens);
/// Of forward_macs(), what runs once a sample and not for each token: timestep embedding and modulations.
std::int64_t conditioning_forward_macs(const ModelConfig& model);
std::int64_t forward_flops(const ModelConfig& model);  ///< per sample: 2 x MACs
std::int64_t train_flops(const ModelConfig& model);    ///< per sample: 3 x forward
/// Per sample: what a training step computes a second time with recompute, recomputed_blocks() without their adaLN, which
/// is kept. Hardware FLOPs = train_flops + this.
std::int64_t recompute_flops(const ModelConfig& model, Recompute recompute = Recompute::full);
std::int64_t attention_forward_macs(const ModelConfig& model);  ///< per sample: the part quadratic in T

/// What a training step of so many samples counts in the run log.
struct StepWork {
  std::int64_t tokens = 0;
  double model_flops = 0, hardware_flops = 0;  ///< without and with what `recompute` computes again
};
/// `more_forwards`: passes beside the trained network's own forward and backward, as of a teacher.
StepWork step_work(const ModelConfig& model, std::int64_t samples, Recompute recompute, int more_forwards = 0);

/// more_forwards of consistency distillation: the target network's, and the teacher's, two where it is guided.
inline int distillation_forwards(double guidance) { return guidance != 1 ? 3 : 2; }

}  // namespace gpumonth::model
