// How a training is laid out on GPUs, and whether it fits in their memory.
//
// A replica is the smallest set of GPUs that makes a step on samples of its own: one GPU, or several that
// share the tokens of each sample (sequence parallelism, as run.sequence_parallel). All GPUs together may share the state, as
// comm.sharding (model/sharding.h). Memory and bytes are those of the trainer: model/memory.h, model/communication.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/communication.h"
#include "model/config.h"

namespace gpumonth::budget {

struct MemoryPlan {
  std::string sharding = "auto";  ///< "none", "optimizer", "full"; auto: fitting_plan chooses
  /// What backward computes again: "none"; "linear": a block keeps its input, attention's output and log-sum-exp;
  /// "full": its input alone
  std::string recompute = "none";
  int replica_gpus = 1;
  int batch_per_replica = 1;    ///< samples per step
  double memory_reserve = 0.1;  ///< share of the memory that the plan must leave free
};

bool recomputes(const MemoryPlan& plan);
bool keeps_attention(const MemoryPlan& plan);  ///< recompute = "linear"

/// "full sharding, recompute, 1 sample per 8 GPUs".
std::string describe(const MemoryPlan& plan);

struct MemoryNeed {
  double state_bytes = 0;       ///< parameters, gradients, optimizer, EMA, and what full sharding gathers
  double activation_bytes = 0;  ///< saved by forward for backward
  double total() const { return state_bytes + activation_bytes; }
};

/// What the plan is in the trainer's terms, on so many GPUs. The sharding must not be auto.
model::TrainingLayout training_layout(const MemoryPlan& plan, std::int64_t gpus);

/// Per GPU, of `gpus` in all, training in bf16 over fp32 masters; model/memory.h has the list of buffers.
MemoryNeed memory_need(const model::ModelConfig& model, const MemoryPlan& plan, std::int64_t gpus);

/// Bytes that each of them sends in a step; likewise of bf16 over fp32 masters.
std::vector<model::SentPart> sent_parts(const model::ModelConfig& model, const MemoryPlan& plan, std::int64_t gpus);

/// The plan nearest to `plan` that needs at most `bytes` per GPU, reserve left free; nothing where none does.
/// Tried in this order: more sharding, recompute of linear layers, smaller batches, more GPUs per replica (powers of two
/// that divide `gpus` and can share the model's samples) up to a node's 8; then the same with full recompute and up to 64.
std::optional<MemoryPlan> fitting_plan(const model::ModelConfig& model, const MemoryPlan& plan, std::int64_t gpus,
                                       double bytes);

}  // namespace gpumonth::budget
