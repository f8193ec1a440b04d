// One training step as the loop sees it: forward, backward that yields gradients event by event, update. The DiT
// is one implementation (dit_step.h); a recorded step can be replayed in its place.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "comm/gradient_reducer.h"
#include "model/parameters.h"
#include "trainer/checkpoint.h"

namespace gpumonth::trainer {

/// This rank's part of a global batch, in host memory.
struct Batch {
  std::vector<float> latents;        ///< (B, C, [F,] H, W)
  std::vector<std::int32_t> labels;  ///< (B), dropout already drawn
  std::vector<std::int32_t> t;       ///< (B) diffusion step, 0 .. 999
  std::vector<float> noise;          ///< given noise (B, C, [F,] H, W); empty: drawn from (seed, step, sample)
  std::int64_t first_sample = 0;     ///< global index, within the step, of this rank's first sample
};

struct OptimizerSettings {
  double learning_rate = 1e-4, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weight_decay = 0, clip_norm = 0,
         ema_decay = 0.9999;
};

/// What finish() knows of the step. Times are the device's own: between marks on its stream.
struct StepResult {
  double loss_sum = 0;   ///< over this rank's samples
  double grad_norm = 0;  ///< L2, before clipping; where it is not finite the parameters are as they were
  double forward_s = 0, backward_s = 0, optimizer_s = 0;
  comm::StepCommunication communication;
};

class Step {
 public:
  virtual ~Step() = default;
  /// Which part of the flat gradient buffer each backward event completes, in order.
  virtual const std::vector<comm::Segment>& events() const = 0;
  /// What work is ordered on: a cudaStream_t, null on the CPU.
  virtual void* stream() = 0;

  /// Once, before the first start(). `sharded`: the reducer was made with shard_optimizer; moments and EMA shrink to
  /// what this rank owns. `ranks` is who state() collects them from.
  virtual void attach(comm::GradientReducer& reducer, comm::Communicator& ranks, bool sharded = false) = 0;
  /// One training step: noising, forward, loss, backward with its buckets reduced beside it, AdamW, EMA. Steps count
  /// from 1. A GPU has only been given the work when this returns; `batch` may be changed then.
  virtual void start(const Batch& batch, const OptimizerSettings& settings, std::int64_t step) = 0;
  /// Waits for what start() began.
  virtual StepResult finish() = 0;

  /// The parts of a step, each finished on return. forward() gives this rank's sum of per-sample losses; `losses` (B)
  /// gets each where not null.
  virtual double forward(const Batch& batch, std::int64_t step, std::vector<double>* losses = nullptr) = 0;
  /// Gradients of (sum of losses) / global batch into the flat gradient buffer.
  virtual void backward() = 0;
  /// Clips, AdamW, EMA, weight packing from the gradients as they are. Returns their L2 norm before clipping.
  virtual double update(const OptimizerSettings& settings, std::int64_t step) = 0;

  /// Host copies of the state for checkpoints: the buffers themselves on the CPU, where ranks that share a host may
  /// hold them in common. Collective with sharding. Valid until the next start(), update() or state().
  virtual TrainingState state() = 0;
  /// False where another rank of this host holds the state in common with this one and answers for it.
  virtual bool owns_state() const = 0;
  /// Whether ranks hold the state in common, so that sharding has nothing to add.
  virtual bool shares_state() const = 0;
  /// Collective, after state() was written to: brings it to the device and packs the weights.
  virtual void state_changed() = 0;
  /// The model's output of the last forward, (B, C_out, [F,] H, W).
  virtual std::vector<float> prediction() = 0;
  /// A host copy of the flat gradients.
  virtual std::vector<float> gradients() = 0;
};

/// What a step needs to know when it is made.
struct StepSetup {
  model::ModelConfig model;
  std::int64_t local_batch = 0, global_batch = 0;
  std::uint64_t seed = 0;
  std::string dtype;                     ///< "fp32" or "bf16"
  int threads = 1;                       ///< of a CPU rank
  float* gradients = nullptr;            ///< flat buffer (table.flat_size()) on the device, from Transport::allocate
  comm::Transport* transport = nullptr;  ///< whose ranks may hold the state in common; null: nobody
  bool recompute = false;      ///< backward runs the blocks' forward again instead of keeping their activations
  int device = 0;              ///< GPU of this rank, as CUDA_VISIBLE_DEVICES numbers them
  bool deterministic = false;  ///< GPU: the same bits in every run, where that costs time
  bool graphs = true;          ///< GPU: the step is replayed as a CUDA graph; false for debuggers
};

/// The DiT on CPU threads, weights initialised from the seed. Collective over setup.transport.
std::unique_ptr<Step> make_cpu_dit_step(const StepSetup& setup, const model::ParameterTable& table);

}  // namespace gpumonth::trainer
