// Bytes that rank 0 sends in a training step, by formula. Collectives are counted as rings send them, which is also the
// least that anybody can send where all links are alike (Patarasuk & Yuan 2009): of S bytes in all on n ranks,
//   reduce-scatter, all-gather   (n-1)/n S        all-reduce   2 (n-1)/n S
//   all-to-all                   (n-1)/n S        S: of one rank
//
// Full sharding (ZeRO-3, FSDP; groups of g ranks) gathers what is no block once a step, every block before its forward and
// again before its backward, but for the two topmost, which are still there when backward begins; micro-batches do it again
// each, but for the two lowest, which the one before leaves. Gradients are reduce-scattered in every micro-batch, segment by segment; groups sum their shards, in fp32, by all-reduces.
// Weights travel in fp32, but for what a GPU's products read: that travels in the compute type.
//
// Sequence parallelism over s ranks (Ulysses, arXiv:2309.14509): per block, T tokens and width h, 3 T h / s values (q, k, v)
// before attention and T h / s (its output) behind it, of which (s-1)/s go to others; as many backwards. recompute = "full"
// sends all four again, "linear" q, k and v, of recomputed_blocks().
//
// Not counted: a step's norm, loss and stop signals, some kB.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/config.h"
#include "model/dtype.h"
#include "model/training_layout.h"

namespace gpumonth::model {

/// As the columns of the run log: gradients; weights; tokens of shared samples.
enum class SentKind { reduced, gathered, exchanged };
const char* name(SentKind kind);  ///< "reduced"

/// Where in a step, and so what can hide it.
enum class SentPhase { forward, backward, update };
const char* name(SentPhase phase);  ///< "forward"

struct SentPart {
  SentKind kind;
  SentPhase phase;
  std::string what;  ///< "blocks' weights before their backward"
  std::int64_t bytes;
};

/// Everything that a rank sends in a step of `batch_per_rank` samples (where ranks share samples: those that it has a part
/// of), a multiple of layout.accumulate. What is nothing is left out.
std::vector<SentPart> sent_parts(const ModelConfig& model, std::int64_t batch_per_rank, Dtype dtype,
                                 const TrainingLayout& layout);

std::int64_t sum(const std::vector<SentPart>& parts);
std::int64_t sum(const std::vector<SentPart>& parts, SentKind kind);
std::int64_t sum(const std::vector<SentPart>& parts, SentPhase phase);

/// Tensors (a rank's tokens, width) in the all-to-alls of a pass: of forward, of what backward computes again, of gradients.
struct ExchangedTensors {
  std::int64_t forward, again, gradients;
};
ExchangedTensors exchanged_in_pass(const ModelConfig& model, Recompute recompute);

/// Blocks whose weights are gathered in a step of so many micro-batches, over all of them: before forward, before backward.
struct GatheredBlocks {
  std::int64_t forward, backward;
};
GatheredBlocks gathered_in_step(const ModelConfig& model, std::int64_t micro_batches);

}  // namespace gpumonth::model
