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

class Step {
 public:
  virtual ~Step() = default;
  /// Which part of the flat gradient buffer each backward event completes, in order.
  virtual const std::vector<comm::Segment>& events() const = 0;
  /// Forward and loss. Returns this rank's sum of per-sample losses; `losses` (B) gets each where not null.
  virtual double forward(const Batch& batch, std::int64_t step, std::vector<double>* losses = nullptr) = 0;
  /// Gradients of (sum of losses) / global batch into the flat gradient buffer.
  virtual void backward(const std::function<void(int event)>& ready) = 0;
  /// Clips, AdamW, EMA, weight packing from the reduced gradients; step counts from 1. Returns the gradients' L2
  /// norm before clipping; a norm that is not finite leaves the parameters untouched.
  virtual double update(const OptimizerSettings& settings, std::int64_t step) = 0;

  /// Host pointers to the state, for checkpoints: the buffers themselves on the CPU.
  virtual TrainingState state() = 0;
  /// To be called after state() was written to: packs the weights.
  virtual void state_changed() = 0;
  /// The model's output of the last forward, (B, C_out, [F,] H, W).
  virtual std::vector<float> prediction() = 0;
};

/// What a step needs to know when it is made.
struct StepSetup {
  model::ModelConfig model;
  std::int64_t local_batch = 0, global_batch = 0;
  std::uint64_t seed = 0;
  std::string dtype;           ///< "fp32" or "bf16"
  int threads = 1;
  float* gradients = nullptr;  ///< flat buffer (table.flat_size()), reduced by others between backward and update
};

/// The DiT on CPU threads, weights initialised from the seed.
std::unique_ptr<Step> make_cpu_dit_step(const StepSetup& setup, const model::ParameterTable& table);

}  // namespace gpumonth::trainer
