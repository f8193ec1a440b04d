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

std::int64_t forward_macs(const ModelConfig& model);  ///< per sample
/// Per sample of so many tokens, whatever the size of the model's own samples.
std::int64_t forward_macs(const ModelConfig& model, std::int64_t tokens);
std::int64_t forward_flops(const ModelConfig& model);  ///< per sample: 2 x MACs
std::int64_t train_flops(const ModelConfig& model);    ///< per sample: 3 x forward
/// Per sample: what a training step computes a second time with recompute, all blocks but the last two (their
/// activations are still there when backward begins); adaLN is kept. Hardware FLOPs = train_flops + this.
/// `keep_attention`: attention's outputs are kept too, and only the linear layers are computed again.
std::int64_t recompute_flops(const ModelConfig& model, bool keep_attention = false);
std::int64_t attention_forward_macs(const ModelConfig& model);  ///< per sample: the part quadratic in T

/// What a training step of so many samples counts in the run log.
struct StepWork {
  std::int64_t tokens = 0;
  double model_flops = 0, hardware_flops = 0;  ///< without and with what `recompute` computes again
};
StepWork step_work(const ModelConfig& model, std::int64_t samples, bool recompute);

}  // namespace gpumonth::model
