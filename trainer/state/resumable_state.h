// What a run goes on from: the state of a training step as checkpoints see it.
#pragma once

#include <memory>
#include <span>

#include "trainer/state/checkpoint.h"

namespace gpumonth::trainer {

class ResumableState {
 public:
  virtual ~ResumableState() = default;
  /// All four groups, tensor by tensor. Collective. Valid until the next TrainingStep::start() or values().
  virtual std::unique_ptr<StateValues> values() { return std::make_unique<WholeState>(host()); }
  /// Host views of all four buffers: the buffers themselves on the CPU, where ranks that share a host may hold them in
  /// common; elsewhere copies. Collective with sharding. Valid until the next TrainingStep::start() or host().
  /// std::logic_error where nobody holds the whole.
  virtual TrainingState host() = 0;
  /// Collective, after host() was written to or values() have got others: brings it to the device and packs the weights.
  virtual void changed() = 0;
  /// False where another rank of this host holds the state in common with this one and answers for it.
  virtual bool owned() const = 0;
  /// Whether ranks hold the state in common, so that sharding has nothing to add.
  virtual bool shared() const = 0;
  /// Of owned(): the parameters that this rank holds, in host memory, until the next call. Ranks r and r % replica_ranks()
  /// hold the same.
  virtual std::span<const float> replica() = 0;
  virtual int replica_ranks() const { return 1; }
};

}  // namespace gpumonth::trainer
