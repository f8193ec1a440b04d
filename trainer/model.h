// The network and its loss, for whoever does not train it: parameters in; prediction, losses and gradients out.
#pragma once

#include <cstdint>
#include <vector>

#include "trainer/data/batch.h"

namespace gpumonth::trainer {

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
};

}  // namespace gpumonth::trainer
