// The DiT (Peebles & Xie, arXiv:2212.09748), forward and backward, once for every device and compute type: a
// sequence of ops that reads top to bottom. Shapes: B batch, T tokens, h width. Where ranks share samples, T is this rank's
// tokens, H and W are those of its part (sequence_part.h), and only attention knows of the others.
#pragma once

#include <functional>

#include "model/parameters.h"
#include "model/positions.h"
#include "trainer/dit/dit_activations.h"
#include "trainer/dit/dit_weights.h"
#include "trainer/dit/split_attention.h"
#include "trainer/ops/accumulate.h"
#include "trainer/ops/add_broadcast.h"
#include "trainer/ops/bf16.h"
#include "trainer/ops/column_sum.h"
#include "trainer/ops/convert.h"
#include "trainer/ops/embedding.h"
#include "trainer/ops/gelu.h"
#include "trainer/ops/linear.h"
#include "trainer/ops/patchify.h"
#include "trainer/ops/residual_norm.h"
#include "trainer/ops/silu.h"
#include "trainer/state/state_memory.h"

namespace gpumonth::trainer {

/// Called when the gradients of segment `segment` (SegmentOrder) are final.
using GradientReady = std::function<void(int segment)>;

/// Called around the use of weights that are not there all the time; comm::GradientReducer::need() and done().
struct WeightUse {
  std::function<void(int unit)> need, done;
};

template <class Device, class T>
class Dit {
 public:
  /// `passes`: forwards and backwards of a step, for its count of exchanges.
  Dit(Device& device, const model::ModelConfig& model, DitOffsets offsets, std::int64_t batch,
      StateMemory<Device>& memory, Keep keep = Keep::activations, const Sequence& sequence = {},
      std::int64_t passes = 1);

  /// Where blocks take turns (Placement::slots), before the first pass.
  void use_weights(WeightUse use) { use_ = std::move(use); }
  /// The parameter buffers, placed as offsets() says, that forward and backward will read: fp32 master weights and, where the device's products
  /// read weights in place (Device::kPacksWeights is false), the same in T. They must outlive this.
  void bind(const float* master, const T* compute);
  /// Where the device packs: reorders the weights of segment `segment` (SegmentOrder) for the products. `values` are the
  /// segment's part of the parameters in T. By segment, so that the update can pack what is still in the cache.
  void pack(const T* values, int segment);
  /// x_t (B, C, [F,] H, W) fp32, t (B), labels (B) on the device -> tokens().
  void forward(const float* x_t, const std::int32_t* t, const std::int32_t* labels);
  const float* tokens() const { return act_.tokens.get(); }  ///< (B, T, pt p p c_out)
  /// Reads d loss / d tokens from token_gradient() and overwrites every element of `gradients` (placed, padding
  /// excepted). Not with Keep::nothing.
  void backward(const std::int32_t* labels, float* gradients, const GradientReady& ready);
  T* token_gradient() { return grad_.tokens.get(); }  ///< null with Keep::nothing

  const DitOffsets& offsets() const { return offsets_; }
  SplitAttention<Device, T>& attention() { return attention_; }

 private:
  ops::LinearWeights<T> weights(const LinearOffsets& at, const std::byte* packed) const;
  ops::LinearWeights<float> master_weights(const LinearOffsets& at) const;
  bool streamed() const { return offsets_.placement == Placement::slots; }
  void need(int unit) {
    if (use_.need) use_.need(unit);
  }
  void done(int layer) {
    if (use_.done) use_.done(layer);
  }

  /// Modulations that are one product: all layers' where all weights are there, else one layer's (depth: the final one's).
  struct Modulations {
    ops::Linear<Device, float>& product;
    ops::LinearWeights<float> weights;
    std::int64_t column;
  };
  static constexpr int kAllLayers = -1;
  Modulations modulations(int layer);
  void modulate(int layer);
  /// The part of d condition that comes from these; the first layers' of a pass overwrites it.
  void modulate_backward(int layer);

  void condition(const std::int32_t* t, const std::int32_t* labels);
  void block_forward(int layer);
  /// From a1 on: what follows the norm in front of the block. Without `attend` attention's output is there already.
  void block_branches(int layer, bool attend);
  /// Fills the block's activations again from x_in, which was kept.
  void block_again(int layer);
  void block_backward(int layer, float* gradients, const GradientReady& ready);
  void condition_backward(const std::int32_t* labels, float* gradients);
  /// The norm in front of block `layer`'s attention (layer == depth: of the final layer): what lies before it is
  /// the MLP branch of the block below.
  ops::ResidualNormForward<T> norm_before(int layer);
  ops::ResidualNormBackward<T> norm_before_backward(int layer, float* gradients);
  float* modulation(int layer, int chunk) {
    return act_.modulation.get() + shape_.modulation_column(layer) + chunk * shape_.h;
  }
  float* d_modulation(int layer, int chunk) {
    return grad_.modulation.get() + shape_.modulation_column(layer) + chunk * shape_.h;
  }

  /// Chunks of a block's modulation, in the reference's order.
  enum Chunk { kShiftAttention, kScaleAttention, kGateAttention, kShiftMlp, kScaleMlp, kGateMlp };

  struct Packed {
    std::byte *qkv, *proj, *fc1, *fc2;
  };
  struct BlockWeights {
    ops::LinearWeights<T> qkv, proj, fc1, fc2;
  };

  Device& device_;
  model::ModelConfig model_;
  ops::LatentShape latent_;
  DitShape shape_;
  DitOffsets offsets_;
  DitActivations<Device, T> act_;
  DitGradients<Device, T> grad_;
  ops::Linear<Device, T, float> patch_;  // of shape (B T, .), up to final_
  ops::Linear<Device, T> qkv_, proj_, fc1_, fc2_;
  ops::Linear<Device, T, float> final_;
  ops::Linear<Device, float> time_in_, time_out_, adaln_, adaln_block_, adaln_final_;  // of shape (B, .)
  SplitAttention<Device, T> attention_;
  ops::Buffer<Device, float> positions_;   // (T, h)
  ops::Buffer<Device, std::byte> packed_;  // of every packed layer
  std::vector<Packed> packed_blocks_;
  std::byte *packed_patch_ = nullptr, *packed_final_ = nullptr;
  const float* master_weights_ = nullptr;  // bound
  const T* compute_weights_ = nullptr;     // bound
  WeightUse use_;
  std::vector<BlockWeights> block_weights_;
  ops::LinearWeights<T> patch_weights_, final_weights_;
  ops::LinearWeights<float> time_in_weights_, time_out_weights_;
};

}  // namespace gpumonth::trainer
