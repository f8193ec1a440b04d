// Work of one block in training, by its two kinds of layers: what grows with the tokens and what with their square.
// adaLN, once a sample, is neglected (1 / 2T of the linear layers), and so are the embeddings and the final layer
// around the blocks.
#pragma once

#include "budget/inputs/memory_plan.h"
#include "model/flops.h"

namespace gpumonth::budget {

/// Of one sample and one block, FLOP or seconds.
struct BlockParts {
  double linear = 0, attention = 0;
  double total() const { return linear + attention; }
};

/// FLOP.
inline BlockParts block_forward_flops(const model::ModelConfig& model, double tokens) {
  const auto macs = model::block_forward_macs(model, tokens);
  return {2 * macs.linear, 2 * macs.attention};
}

/// Of all blocks.
inline double recomputed_share(const model::ModelConfig& model) {
  return static_cast<double>(model::recomputed_blocks(model)) / model.depth;
}

/// What a part of a step costs, FLOP or seconds, with what is computed again. `forward` and `all` (forward and
/// backward): of the same block.
inline double with_recompute(const BlockParts& forward, const BlockParts& all, const std::string& recompute,
                             double share_of_blocks) {
  const double again = recompute == "none" ? 0 : recompute == "linear" ? forward.linear : forward.total();
  return all.total() + again * share_of_blocks;
}

/// Hardware FLOPs over model FLOPs of a training of samples of so many tokens.
inline double recompute_overhead(const model::ModelConfig& model, const std::string& recompute, double tokens) {
  const BlockParts forward = block_forward_flops(model, tokens), all{3 * forward.linear, 3 * forward.attention};
  return with_recompute(forward, all, recompute, recomputed_share(model)) / all.total();
}

}  // namespace gpumonth::budget
