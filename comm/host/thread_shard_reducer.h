// comm.sharding = "full" over blocking collectives of host memory: one communication thread per rank gathers weights and
// reduces gradients, in the order in which the step's calls ask for them.
//
// A call posts what can be done at once - a gather when its slot is free, a reduction when its gradients are final - and
// the thread does one after the other. So nothing in its queue waits for the step; the step waits for what it has posted
// alone; and the calls come in one order on every rank, so the ranks' threads meet in the same collective. No wait is part
// of a circle.
#pragma once

#include <memory>

#include "comm/gradient_reducer.h"
#include "comm/sharded_storage.h"

namespace gpumonth::comm {

class ThreadShardReducer final : public GradientReducer {
 public:
  /// Collective. Storage from transport.allocate() moves without a copy where ranks share a host.
  ThreadShardReducer(Transport& transport, const ReducerOptions& options);
  ~ThreadShardReducer() override;

  void begin_step(std::int64_t step) override;
  void begin_backward() override;
  void ready(int segment) override;
  void wait() override;  ///< blocks
  void begin_passes() override;
  void need(int unit) override;  ///< blocks
  void done(int block) override;
  const std::vector<Segment>& owned() const override;
  void gather(float*) override {}                         ///< weights are gathered as they are needed
  void sum(double* values, std::int64_t count) override;  ///< blocks
  StepCommunication finish() override;
  const std::vector<BucketTimes>& timeline() const override;
  const std::vector<Bucket>& buckets() const override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gpumonth::comm
