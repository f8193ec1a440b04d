// Work of one block in training, by its two kinds of layers: what grows with the tokens and what with their square.
// adaLN, once a sample, is neglected (1 / 2T of the linear layers), and so are the embeddings and the final layer
// around the blocks.
#pragma once

#include "budget/inputs/memory_plan.h"
#include "model/config.h"

namespace gpumonth::budget {

/// Of one sample and one block, FLOP or seconds.
struct BlockParts {
  double linear = 0, attention = 0;
  double total() const { return linear + attention; }
};

/// FLOP.
inline BlockParts block_forward_flops(const model::ModelConfig& model, double tokens) {
  const double h = model.hidden_size, m = model.mlp_hidden();
  return {2 * tokens * (4 * h * h + 2 * h * m), 2 * 2 * tokens * tokens * h};
}

/// Share of the blocks whose activations are gone when backward reaches them: all but the last two.
inline double recomputed_blocks(const model::ModelConfig& model) {
  return model.depth > 2 ? (model.depth - 2.0) / model.depth : 0;
}

/// What a part of a step costs, FLOP or seconds, with what is computed again. `forward` and `all` (forward and
/// backward): of the same block.
inline double with_recompute(const BlockParts& forward, const BlockParts& all, const std::string& recompute,
                             double blocks) {
  const double again = recompute == "none" ? 0 : recompute == "linear" ? forward.linear : forward.total();
  return all.total() + again * blocks;
}

/// Hardware FLOPs over model FLOPs of a training of samples of so many tokens.
inline double recompute_overhead(const model::ModelConfig& model, const std::string& recompute, double tokens) {
  const BlockParts forward = block_forward_flops(model, tokens), all{3 * forward.linear, 3 * forward.attention};
  return with_recompute(forward, all, recompute, recomputed_blocks(model)) / all.total();
}

}  // namespace gpumonth::budget
