// Gradient buckets over blocking collectives of host memory: one communication thread per rank.
//
// Open MPI has no asynchronous progress, so blocking collectives on a thread of their own are what overlaps.
#pragma once

#include <memory>

#include "comm/gradient_reducer.h"

namespace gpumonth::comm {

class ThreadReducer final : public GradientReducer {
 public:
  /// Collective. `gradients` is the flat buffer, valid as long as this object; memory from
  /// transport.allocate() is reduced without a copy where ranks share a host. With one rank nothing is
  /// started. Sharded, buckets are still all-reduced, so that every rank holds more than it owns.
  ThreadReducer(Transport& transport, float* gradients, std::vector<Segment> segments, std::int64_t bucket_bytes,
                const ReducerOptions& options = {});
  ~ThreadReducer() override;

  void begin_step(std::int64_t step) override;
  void begin_backward() override;
  void ready(int segment) override;
  void wait() override;  ///< blocks
  const std::vector<Segment>& owned() const override;
  void gather(float* parameters) override;                ///< blocks
  void sum(double* values, std::int64_t count) override;  ///< blocks
  StepCommunication finish() override;
  const std::vector<BucketTimes>& timeline() const override;
  const std::vector<Bucket>& buckets() const override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gpumonth::comm
