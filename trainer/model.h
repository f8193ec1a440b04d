// The network and its loss, for whoever does not train it: parameters in; prediction, losses and gradients out.
#pragma once

#include <cstdint>
#include <vector>

#include "trainer/data/batch.h"
#include "trainer/ops/reverse_step.h"

namespace gpumonth::trainer {

/// Samples that go through the reverse process together: S of them in a model of B rows. B = S, or with guidance 2 S: each
/// has a second row under the null label then.
struct SampleBatch {
  std::vector<std::int32_t> labels;  ///< (S); num_classes is the null label
  std::int64_t first_sample = 0;     ///< global index of the first: keys the noise that is drawn
  double guidance = 1;               ///< ops/reverse_step.h; 1: none
};

/// Holds what its passes need and no more: without moments, averages and reducer, and where it was made for forward
/// alone (DitSetup::keep) without gradients and what backward works in.
class Model {
 public:
  virtual ~Model() = default;
  /// Host view of the fp32 parameters, flat as in a ParameterTable: the buffer itself on the CPU, elsewhere a copy,
  /// valid until parameters_changed().
  virtual float* parameters() = 0;
  /// After parameters() was written to: brings them to the device and packs the weights. Collective where ranks hold
  /// them in common.
  virtual void parameters_changed() = 0;

  /// Noising, network, loss. Returns the sum of per-sample losses; `losses` (B) gets each where not null. `step` keys
  /// the noise that is drawn where the batch has none.
  virtual double forward(const Batch& batch, std::int64_t step, std::vector<double>* losses = nullptr) = 0;
  /// The network's output of the last forward, (B, C_out, [F,] H, W).
  virtual std::vector<float> prediction() = 0;
  /// Of (sum of losses of the last forward) / global batch. std::logic_error where made for forward alone.
  virtual void backward() = 0;
  /// A host copy of the flat gradients.
  virtual std::vector<float> gradients() = 0;

  /// Begins the reverse process from `noise`, (S, C, [F,] H, W), or from drawn noise where that is empty.
  virtual void start_samples(const SampleBatch& samples, const std::vector<float>& noise = {}) = 0;
  /// One step of it: the network on all B rows, and the update, whose noise is given or drawn likewise. A GPU has only
  /// been given the work when this returns.
  virtual void denoise(const ops::ReverseStep& step, const std::vector<float>& noise = {}) = 0;
  virtual void wait() = 0;                   ///< until what was given is done
  virtual std::vector<float> samples() = 0;  ///< (S, C, [F,] H, W), as far as they are
};

}  // namespace gpumonth::trainer
