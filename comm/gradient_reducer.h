// Gradient buckets: reduced in fp32 while backward goes on.
//
// Backward finishes gradients segment by segment of the flat gradient buffer, in a fixed order; plan_buckets() of
// base/bucket_plan.h cuts that into buckets of about bucket_bytes, and a reducer reduces each bucket, in launch order,
// as soon as its last segment is ready. Two reducers: ThreadReducer (host/thread_reducer.h) for blocking collectives, and
// NcclReducer (nccl/nccl_reducer.h), whose collectives are ordered on a GPU stream.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/bucket_plan.h"
#include "comm/transport.h"

namespace gpumonth::comm {

using gpumonth::Bucket, gpumonth::Segment, gpumonth::plan_buckets;

struct BucketTimes {
  std::int64_t bytes = 0;
  double ready_s = 0, start_s = 0, end_s = 0;  ///< since begin_backward()
};

/// Of comm.sharding = "full".
struct WeightGathers {
  double inside_s = 0;  ///< inside the gathers of weights
  /// What forward and backward waited for them, and for room for gradients; inside the passes' own times.
  double exposed_forward_s = 0, exposed_backward_s = 0;
  double gathered_bytes = 0, reduced_bytes = 0;  ///< that this rank sends: of weights, of gradients
};

struct StepCommunication {
  double comm_s = 0;     ///< inside collectives that sum gradients
  double exposed_s = 0;  ///< what the step waited for them after its backward
  double gather_s = 0;   ///< of sharding: gather(), which nothing overlaps; in neither of the two above
  std::optional<WeightGathers> weights = std::nullopt;  ///< where they are gathered as they are needed
};

/// One step: begin_step, begin_backward, ready(0) ... ready(last), wait, finish; with ReducerOptions::full need() and
/// done() among them, and begin_backward to ready(last) once for each of its passes. Between begin_step and finish the
/// calls only enqueue where work is ordered on a stream, so they may be recorded once and replayed: in a replayed
/// step only begin_step and finish are called. Throws std::logic_error on a call out of this order.
class GradientReducer {
 public:
  virtual ~GradientReducer() = default;
  virtual void begin_step(std::int64_t step) = 0;
  virtual void begin_backward() = 0;
  /// Gradients of segment `segment` are final on this rank; segments come in order, each once. Never blocks.
  virtual void ready(int segment) = 0;
  /// What comes after it sees the sum over all ranks in every bucket; with sharding, in owned() only.
  virtual void wait() = 0;

  /// With ReducerOptions::full (sharded_storage.h), elsewhere nothing. begin_passes(): the step's work begins, or begins
  /// anew where recording it was given up. What comes after need(unit) sees the unit's weights
  /// whole, and may write its gradients. A forward pass begins with need(kOuterUnit); blocks follow in ascending order, and
  /// in backward in descending order, from the last. done(block): in this pass its weights are not read again.
  virtual void begin_passes() {}
  virtual void need(int) {}
  virtual void done(int) {}

  /// The parts of the flat buffer whose sums this rank holds after wait(): with sharding its share of every bucket
  /// (shard.h), without it every segment. Sorted, disjoint; together the ranks' parts are every segment, once.
  virtual const std::vector<Segment>& owned() const = 0;
  /// After wait(): brings `parameters`, laid out like the gradients, together in place: every rank gets from every
  /// owner what that owns, bit for bit. Collective; only enqueues where work is ordered on a stream, and may be
  /// recorded there. Does nothing without sharding or with one rank.
  virtual void gather(float* parameters) = 0;
  /// After wait(): sums `values` in place over all ranks whose parts make up the whole (with comm.shard_group those of
  /// this rank's group), such as partial squares for the gradient's norm, in double.
  /// Device memory, the same bits on every rank; collective and recordable like gather(). With one rank nothing
  /// happens.
  virtual void sum(double* values, std::int64_t count) = 0;

  /// After the device has done the step (at once on the CPU): what communication took, timeline() filled.
  virtual StepCommunication finish() = 0;
  /// Timeline of the step that finish() just ended, in launch order; empty for one rank.
  virtual const std::vector<BucketTimes>& timeline() const = 0;
  virtual const std::vector<Bucket>& buckets() const = 0;
};

}  // namespace gpumonth::comm
