// What a run goes on from: the state of a training step as checkpoints see it.
#pragma once

#include "trainer/state/checkpoint.h"

namespace gpumonth::trainer {

class ResumableState {
 public:
  virtual ~ResumableState() = default;
  /// Host views of all four buffers: the buffers themselves on the CPU, where ranks that share a host may hold them in
  /// common; elsewhere copies. Collective with sharding. Valid until the next TrainingStep::start() or host().
  virtual TrainingState host() = 0;
  /// Collective, after host() was written to: brings it to the device and packs the weights.
  virtual void changed() = 0;
  /// False where another rank of this host holds the state in common with this one and answers for it.
  virtual bool owned() const = 0;
  /// Whether ranks hold the state in common, so that sharding has nothing to add.
  virtual bool shared() const = 0;
};

}  // namespace gpumonth::trainer
