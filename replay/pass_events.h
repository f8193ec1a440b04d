// What a pass through the network asks of other ranks, and when, by the share of its compute that is done by then: the order
// of the calls in trainer/dit/dit_impl.h and dit_block_impl.h.
//
//   forward    [weights of what is no block] | block l: [its weights], modulation, qkv, [all-to-all of q, k, v], attention,
//              [all-to-all of its output], proj, MLP, [done] | ...
//   backward   ... | block l: fc2 ready, fc1 ready, proj ready, proj's data, [all-to-all of the output's gradient],
//              attention, [all-to-all of those of q, k, v], qkv ready, qkv's data, [weights of block l - 1; with recompute
//              its forward and all-to-alls again], modulation ready, [done] | ...
//
// Weights with full sharding, all-to-alls where ranks share samples. When gradients are ready, and how forward goes on over
// the blocks, is given; what lies between goes on as the multiply-adds do.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/bucket_plan.h"
#include "model/config.h"
#include "model/recompute.h"

namespace gpumonth::replay {

struct PassEvent {
  enum class Kind : std::uint8_t {
    need,      ///< the weights of block `index`, or of what is no block, are read from here on
    done,      ///< those of block `index` no more in this pass
    exchange,  ///< an all-to-all of `index` tensors (tokens, width)
    ready      ///< the gradients of bucket `index` are final
  };
  Kind kind = Kind::ready;
  int index = 0;
  double share = 0;  ///< of the pass's compute, ascending
};
constexpr int kNoBlock = -1;  ///< index of what is no block

struct PassEvents {
  std::vector<PassEvent> forward, backward;
};

/// Forward multiply-adds of a block's parts, or anything in proportion to them.
struct BlockParts {
  double modulation = 0, qkv = 0, attention = 0, proj = 0, mlp = 0;
  double all() const { return modulation + qkv + attention + proj + mlp; }
};
BlockParts block_parts(const model::ModelConfig& model);

/// Before the blocks, each block, behind them: shares of forward's time, by multiply-adds.
std::vector<double> forward_shares(const model::ModelConfig& model);

struct PassPlan {
  BlockParts block;
  std::vector<double> forward;  ///< shares as of forward_shares(), depth + 2
  std::vector<double> ready;    ///< of each segment (model/gradient_segments.h), share of backward; ascending
  std::vector<int> buckets;     ///< last segment of each bucket, ascending
  bool gathers = false, exchanges = false;
  model::Recompute recompute = model::Recompute::none;

  int depth() const { return static_cast<int>(forward.size()) - 2; }
};

PassEvents pass_events(const PassPlan& plan);

}  // namespace gpumonth::replay
