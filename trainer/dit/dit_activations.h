// Every buffer of the DiT's forward and backward, made once for a batch size. T is the compute type.
#pragma once

#include <deque>

#include "model/config.h"
#include "trainer/dit/dit_setup.h"
#include "trainer/ops/buffer.h"
#include "trainer/ops/column_sum.h"
#include "trainer/ops/residual_norm.h"

namespace gpumonth::trainer {

/// The (B, T, h) shapes that the DiT's ops share.
struct DitShape {
  /// `ranks` share a sample's tokens (sequence_part.h): T is one rank's share of them.
  DitShape(const model::ModelConfig& m, std::int64_t batch_, int ranks_ = 1)
      : batch(batch_), tokens(m.tokens() / ranks_), rows(batch_ * tokens), h(m.hidden_size), mlp(m.mlp_hidden()),
        heads(m.num_heads), depth(m.depth), ranks(ranks_),
        modulations((2 + 6 * std::int64_t{m.depth}) * m.hidden_size) {}
  std::int64_t batch, tokens, rows, h, mlp, heads, depth, ranks;
  std::int64_t modulations;  ///< columns of the modulation matrix: final layer 2h, then blocks depth-1 .. 0, 6h each
  std::int64_t modulation_column(std::int64_t layer) const { return 2 * h + (depth - 1 - layer) * 6 * h; }
  ops::ResidualNormShape norm() const { return {batch, tokens, h, modulations}; }
};

/// LayerNorm statistics of one modulated norm.
template <class Device>
struct NormStatistics {
  NormStatistics(Device& d, std::int64_t rows) : mean(d, rows), rstd(d, rows) {}
  ops::Buffer<Device, float> mean, rstd;  // (B, T)
};

/// What one block keeps for backward, but for its input and attention's output.
template <class Device, class T>
struct BlockActivations {
  BlockActivations(Device& d, const DitShape& s)
      : x_mid(d, s.rows * s.h), norm1(d, s.rows), norm2(d, s.rows), a1(d, s.rows * s.h), a2(d, s.rows * s.h),
        qkv(d, s.rows * 3 * s.h), proj(d, s.rows * s.h), fc1(d, s.rows * s.mlp), gelu(d, s.rows * s.mlp),
        fc2(d, s.rows * s.h) {}
  ops::Buffer<Device, float> x_mid;  // (B, T, h) residual stream before the MLP
  NormStatistics<Device> norm1, norm2;
  ops::Buffer<Device, T> a1, a2;     // (B, T, h) modulated norms
  ops::Buffer<Device, T> qkv;        // (B, T, 3h); of ranks that share samples (B, all tokens, 3, H/s, d)
  ops::Buffer<Device, T> proj;       // (B, T, h)
  ops::Buffer<Device, T> fc1, gelu;  // (B, T, mlp)
  ops::Buffer<Device, T> fc2;        // (B, T, h)
};

/// What attention's backward reads beside qkv; its own, as it may be kept where qkv is not.
template <class Device, class T>
struct AttentionOutput {
  AttentionOutput(Device& d, const DitShape& s) : output(d, s.rows * s.h), log_sum_exp(d, s.rows * s.heads) {
    if (s.ranks > 1) of_heads = ops::Buffer<Device, T>(d, s.rows * s.h);
  }
  ops::Buffer<Device, T> output;           // (B, T, h)
  ops::Buffer<Device, float> log_sum_exp;  // (B, H, T); of ranks that share samples (B, H/s, all tokens)
  ops::Buffer<Device, T> of_heads;         // where ranks share samples: (B, all tokens, H/s, d), before it is `output`
};

template <class Device, class T>
struct DitActivations {
  /// But for Keep::activations, two sets of block activations take turns: a norm reads the block below its own. With
  /// Keep::attention every block keeps attention's output beside its input.
  DitActivations(Device& d, const model::ModelConfig& m, const DitShape& s, Keep keep)
      : sets(keep == Keep::activations ? s.depth : std::min<std::int64_t>(2, s.depth)),
        patches(d, s.rows * m.patch_in()), x_final(d, s.rows * s.h), norm_final(d, s.rows), a_final(d, s.rows * s.h),
        tokens(d, s.rows * m.patch_out()), frequencies(d, s.batch * model::kFrequencyEmbeddingSize),
        time_hidden(d, s.batch * s.h), time_silu(d, s.batch * s.h), condition(d, s.batch * s.h),
        condition_silu(d, s.batch * s.h), modulation(d, s.batch * s.modulations) {
    for (int l = 0; l < (keep == Keep::nothing ? 1 : s.depth); ++l) inputs.emplace_back(d, s.rows * s.h);
    for (int l = 0; l < sets; ++l) blocks.emplace_back(d, s);
    for (int l = 0; l < (keep == Keep::attention ? s.depth : sets); ++l) attentions.emplace_back(d, s);
  }
  BlockActivations<Device, T>& block(std::int64_t layer) { return blocks[layer % sets]; }
  AttentionOutput<Device, T>& attention(std::int64_t layer) { return attentions[layer % attentions.size()]; }
  bool keeps_attention() const { return std::ssize(attentions) > sets; }  ///< of blocks that are computed again
  /// (B, T, h) residual stream before the block's attention.
  float* x_in(std::int64_t layer) { return inputs[layer % inputs.size()].get(); }

  std::int64_t sets;  // of block activations: depth, or 2
  std::deque<BlockActivations<Device, T>> blocks;
  std::deque<AttentionOutput<Device, T>> attentions;
  std::deque<ops::Buffer<Device, float>> inputs;  // of every block, or of the one that is worked on
  ops::Buffer<Device, T> patches;                 // (B, T, patch_in)
  ops::Buffer<Device, float> x_final;             // (B, T, h)
  NormStatistics<Device> norm_final;
  ops::Buffer<Device, T> a_final;          // (B, T, h)
  ops::Buffer<Device, float> tokens;       // (B, T, patch_out): the model's output
  ops::Buffer<Device, float> frequencies;  // (B, 256)
  ops::Buffer<Device, float> time_hidden, time_silu, condition, condition_silu;  // (B, h)
  ops::Buffer<Device, float> modulation;                                         // (B, modulations)
};

/// Gradients in flight, reused by every block. Null where there is no backward.
template <class Device, class T>
struct DitGradients {
  DitGradients() = default;
  DitGradients(Device& d, const model::ModelConfig& m, const DitShape& s)
      : tokens(d, s.rows * m.patch_out()), dx(d, s.rows * s.h), dx_typed(d, s.rows * s.h), branch(d, s.rows * s.h),
        narrow(d, s.rows * s.h), wide(d, s.rows * std::max(s.mlp, 3 * s.h)), modulation(d, s.batch * s.modulations),
        condition(d, s.batch * s.h), time_hidden(d, s.batch * s.h),
        scratch(d, std::max({ops::residual_norm_scratch(s.norm()),
                             ops::column_sum_scratch(s.rows, std::max(s.mlp, 3 * s.h)),
                             ops::column_sum_scratch(s.batch, s.modulations)})) {}
  ops::Buffer<Device, T> tokens;                      // (B, T, patch_out)
  ops::Buffer<Device, float> dx;                      // (B, T, h) residual stream
  ops::Buffer<Device, T> dx_typed;                    // (B, T, h) for the patch embedding's product
  ops::Buffer<Device, T> branch, narrow;              // (B, T, h)
  ops::Buffer<Device, T> wide;                        // (B, T, max(mlp, 3h))
  ops::Buffer<Device, float> modulation;              // (B, modulations)
  ops::Buffer<Device, float> condition, time_hidden;  // (B, h)
  ops::Buffer<Device, float> scratch;
};

}  // namespace gpumonth::trainer
