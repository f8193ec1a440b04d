// Gradient buckets: reduced in fp32 by one communication thread per rank while backward goes on.
//
// Backward finishes gradients in a fixed order of segments of the flat gradient buffer ("events");
// plan_buckets() cuts that into buckets of about bucket_bytes; the communication thread all-reduces each
// bucket, in launch order, as soon as its last event is ready. Open MPI has no asynchronous progress, so
// blocking collectives on a thread of their own are what overlaps (DESIGN.md, comm rules).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "comm/communicator.h"

namespace gpumonth::comm {

struct Segment {
  std::int64_t offset = 0, count = 0;  ///< elements of the flat gradient buffer
};

struct Bucket {
  Segment range;
  int last_event = 0;  ///< launched once events 0 .. last_event are ready
};

/// Buckets in launch order that cover every event exactly once. Adjacent segments share a bucket until it
/// holds bucket_bytes; larger segments are split. Only the last event is left for the tail, so the tail
/// bucket is not the biggest where there is more than one. Events may alternate between regions of the
/// buffer.
std::vector<Bucket> plan_buckets(std::span<const Segment> events, std::int64_t bucket_bytes);

struct BucketTimes {
  std::int64_t bytes = 0;
  double ready_s = 0, start_s = 0, end_s = 0;  ///< since begin_step()
};

struct StepCommunication {
  double comm_s = 0;     ///< the communication thread inside all-reduces
  double exposed_s = 0;  ///< what wait() blocked for
};

class GradientReducer {
 public:
  /// Collective. `gradients` is the flat buffer, valid as long as this object; memory from
  /// communicator.allocate() is reduced without a copy where ranks share a host. With one rank nothing is
  /// started.
  GradientReducer(Communicator& communicator, float* gradients, std::vector<Segment> events,
                  std::int64_t bucket_bytes);
  ~GradientReducer();

  void begin_step(std::int64_t step);
  /// Gradients of event `event` are final on this rank; events come in order, each once. Never blocks. Throws
  /// std::logic_error on another event than the next.
  void ready(int event);
  /// Blocks until every bucket holds the sum over all ranks. `extras` (loss, signals, timings: a few numbers)
  /// are summed over ranks too, in the last collective of the step. Throws std::logic_error where an event is
  /// missing.
  StepCommunication wait(std::span<double> extras);
  /// Timeline of the step that wait() just ended, in launch order; empty for one rank.
  const std::vector<BucketTimes>& timeline() const;
  const std::vector<Bucket>& buckets() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gpumonth::comm
