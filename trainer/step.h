// One training step as the loop sees it: gradients that become ready segment by segment and go to a reducer. The DiT is
// one implementation (dit/dit_step.h), a recorded step in its place another (replay/replayed_step.h).
#pragma once

#include <limits>
#include <memory>
#include <vector>

#include "comm/communicator.h"
#include "comm/gradient_reducer.h"
#include "comm/sharded_storage.h"
#include "runlog/record.h"
#include "trainer/data/batch.h"
#include "trainer/data/data.h"

namespace gpumonth::trainer {

class ResumableState;

struct OptimizerSettings {
  double learning_rate = 1e-4, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weight_decay = 0, clip_norm = 0,
         ema_decay = 0.9999;
};

/// What finish() knows of the step. Times are the device's own: between marks on its stream.
struct StepResult {
  double loss_sum = 0;   ///< over this rank's samples
  double grad_norm = 0;  ///< L2, before clipping; where it is not finite the parameters are as they were
  double forward_s = 0, backward_s = 0, optimizer_s = 0;  ///< of all micro-batches
  double unreduced_s = 0;  ///< of backward_s: micro-batches before the last, whose gradients no reducer sees
  /// Sum over this rank's small gradients, one a micro-batch, of their squared L2 norms, as they are before they are added to
  /// others; NaN where the step does not tell.
  double small_squares = std::numeric_limits<double>::quiet_NaN();
  comm::StepCommunication communication;
  /// Of forward_s and backward_s, inside all-to-alls of ranks that share samples, and what this rank sent in them.
  double exchange_s = 0;
  std::int64_t exchanged_bytes = 0;
  /// One rank, which has no timeline of communication: when the last gradient of each of the reducer's buckets was ready,
  /// since backward began. May be empty.
  std::vector<double> bucket_ready_s = {};
};

class TrainingStep {
 public:
  virtual ~TrainingStep() = default;
  /// Which parts of the flat gradient buffer backward completes, in order.
  virtual const std::vector<comm::Segment>& segments() const = 0;
  /// That buffer, fp32, which the reducer sums; of several ranks from Transport::allocate.
  virtual float* gradient_buffer() = 0;
  /// Where the step needs a reducer with ReducerOptions::full, what that works on; else null.
  virtual const comm::ShardedStorage* sharded_storage() const { return nullptr; }
  /// What work is ordered on: a cudaStream_t, null on the CPU.
  virtual void* stream() = 0;

  /// Once, before the first start(). `sharded`: the reducer was made with shard_optimizer; what the step keeps for the
  /// update shrinks to what this rank owns. `ranks` is who collects it for checkpoints.
  virtual void attach(comm::GradientReducer& reducer, comm::Communicator& ranks, bool sharded = false) = 0;
  /// One training step: forward, loss, backward with its buckets reduced beside it, update. Steps count from 1. A GPU
  /// has only been given the work when this returns; `batch` may be changed then.
  virtual void start(const Batch& batch, const OptimizerSettings& settings, std::int64_t step) = 0;
  /// Waits for what start() began.
  virtual StepResult finish() = 0;

  /// What checkpoints hold of it; null where there is nothing that a run could go on from.
  virtual ResumableState* state() { return nullptr; }
  /// Its own source of samples; null: the one that the configuration names. Called once.
  virtual std::unique_ptr<Dataset> make_dataset() { return nullptr; }
  /// What its gradients are (ReducerOptions::stand_in).
  virtual comm::StandIn stand_in() const { return {}; }
  /// Says in the log what the configuration does not know of this step.
  virtual void describe(runlog::RunInfo&) const {}
};

}  // namespace gpumonth::trainer
