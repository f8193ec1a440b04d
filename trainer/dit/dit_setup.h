// What a DiT needs to know when it is made, as a model or as a training step, and who makes one: dit_step_cpu.cpp, and
// of dit_step_cuda.cpp and backend_stub.cpp the one that is built. backend.h chooses between them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "comm/sharded_storage.h"
#include "comm/transport.h"
#include "model/parameters.h"
#include "model/recompute.h"
#include "trainer/dit/sequence_part.h"
#include "trainer/ops/consistency.h"

namespace gpumonth::trainer {

class Model;
class TrainingStep;

/// What a consistency model is distilled from, and how (consistency.h).
struct ConsistencySetup {
  std::vector<float> teacher;  ///< weights, flat (table.flat_size()); the student begins with them
  double guidance = 1;         ///< of the teacher, as in ops/reverse_step.h; 1: none
  int skip = 20;               ///< timesteps that the teacher's step goes down
  ops::ConsistencyMetric metric = ops::ConsistencyMetric::pseudo_huber;
};

/// comm.sharding = "full": who holds what, and the memory that weights are gathered in (comm/sharded_storage.h).
struct FullSharding {
  comm::ShardLayout layout;
  std::shared_ptr<float[]> weights;        ///< placed as DitOffsets say: all of it, or DitOffsets::fp32
  std::shared_ptr<float[]> typed_weights;  ///< a GPU's in bf16: DitOffsets::typed, 2 bytes an element; else null
};

/// Collective: its memory comes from transport.allocate(). `group`: consecutive ranks that hold the whole together
/// (comm.shard_group), 0: all. `gpu_bf16`: a GPU computes in bf16.
std::shared_ptr<const FullSharding> make_full_sharding(const model::ModelConfig& model,
                                                       const model::ParameterTable& table, comm::Transport& transport,
                                                       int group, bool gpu_bf16);

/// What forward leaves behind for backward: the less, the less memory.
enum class Keep {
  activations,   ///< of every block
  attention,     ///< of every block its input and attention's output: backward runs the rest of its forward again
  block_inputs,  ///< backward runs the blocks' forward again
  nothing        ///< there is no backward
};

constexpr Keep keep_for(model::Recompute recompute) {
  return recompute == model::Recompute::none     ? Keep::activations
         : recompute == model::Recompute::linear ? Keep::attention
                                                 : Keep::block_inputs;
}
constexpr model::Recompute recompute_of(Keep keep) {
  return keep == Keep::attention ? model::Recompute::linear
                                 : (keep == Keep::block_inputs ? model::Recompute::full : model::Recompute::none);
}

struct DitSetup {
  model::ModelConfig model;
  std::int64_t local_batch = 0, global_batch = 0;  ///< local: of the ranks that share samples, the same ones
  std::uint64_t seed = 0;
  std::string dtype;  ///< "fp32" or "bf16"
  int threads = 1;    ///< of a CPU rank
  /// Flat (table.flat_size()), with full.layout.storage_size() elements, from Transport::allocate; null: its own.
  std::shared_ptr<float[]> gradients = nullptr;
  comm::Transport* transport = nullptr;  ///< whose ranks may hold the state in common; null: nobody
  Keep keep = Keep::activations;
  int device = 0;               ///< GPU of this rank, as CUDA_VISIBLE_DEVICES numbers them
  bool deterministic = false;   ///< GPU: the same bits in every run, where that costs time
  bool graphs = true;           ///< GPU: a training step is replayed as a CUDA graph; false for debuggers
  std::int64_t accumulate = 1;  ///< a training step's micro-batches; divides local_batch
  bool noise_scale = false;     ///< a training step tells the norms of its small gradients (StepResult)
  Sequence sequence = {};       ///< of a training step, which makes the exchange over `transport`
  std::shared_ptr<const ConsistencySetup> consistency = nullptr;  ///< of a training step; null: the diffusion loss

  std::shared_ptr<const FullSharding> full =
      nullptr;  ///< of a training step, with `gradients`; null: weights are whole

  /// Samples that go through the network together.
  std::int64_t micro_batch() const { return local_batch / accumulate; }
};

/// On CPU threads, parameters zero. Collective over setup.transport.
std::unique_ptr<Model> make_cpu_dit_model(const DitSetup& setup, const model::ParameterTable& table);
/// On CPU threads, weights initialised from the seed, or a teacher's. Collective over setup.transport.
std::unique_ptr<TrainingStep> make_cpu_dit_step(const DitSetup& setup, const model::ParameterTable& table);

/// The same on a GPU. setup.gradients may be host memory or null where there is one rank: the gradients are then the
/// DiT's own. UserError: they do not fit into its memory.
std::unique_ptr<Model> make_cuda_dit_model(const DitSetup& setup, const model::ParameterTable& table);
std::unique_ptr<TrainingStep> make_cuda_dit_step(const DitSetup& setup, const model::ParameterTable& table);

}  // namespace gpumonth::trainer
