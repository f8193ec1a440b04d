// Who holds a training step's state, and who updates what of it. Two of them: the state is whole on every rank or in memory
// that ranks share, and perhaps updated by shares (whole_store.h); or it is held in shards (sharded_store.h).
#pragma once

#include "comm/gradient_reducer.h"
#include "comm/sharded_storage.h"
#include "trainer/dit/dit_setup.h"
#include "trainer/ops/math.h"
#include "trainer/state/resumable_state.h"

namespace gpumonth::trainer {

class ParameterStore : public ResumableState {
 public:
  /// What training begins with: weights from the seed, or a teacher's; the EMA begins where they do. Collective.
  virtual void begin(ops::Cpu cpu) = 0;
  /// Once, before the first step; as TrainingStep::attach().
  virtual void attach(comm::GradientReducer& reducer, comm::Communicator& ranks, bool sharded) = 0;
  /// The memory of a reducer with ReducerOptions::full, which then gets the gradients of every pass and sums them; null:
  /// the reducer gets those of the step's last pass, with the others' added.
  virtual const comm::ShardedStorage* sharded_storage() const { return nullptr; }

  /// A step begins: what was handed out to the host is outdated.
  virtual void forget_host() = 0;
  /// The step's first pass is enqueued, perhaps a second time where recording the step was given up.
  virtual void begin_passes() {}
  /// Behind the reducer's wait(), enqueued: the gradient's norm and clipping, AdamW, and what products read of the result.
  virtual void update(const ops::AdamWStep* step, ops::Clipping* clipping, double clip_norm) = 0;
};

}  // namespace gpumonth::trainer
