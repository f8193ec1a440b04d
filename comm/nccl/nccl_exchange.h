// All-to-alls within groups of ranks over NCCL, on the stream that the step computes on: grouped sends and receives, as
// NCCL's guide says to do it. The communicator is the group's own (ncclCommSplit), so that they never queue behind
// gradient buckets. Both communicators' kernels may be on the GPU at a time, as each leaves most of it free; all ranks
// enqueue them in one order.
//
// A call inside a stream capture that fails throws std::runtime_error, as those of NcclReducer do.
#pragma once

#include "comm/exchange.h"
#include "comm/nccl/nccl_ranks.h"

namespace gpumonth::comm {

class NcclExchange final : public Exchange {
 public:
  /// Collective over `all`. Ends with ncclCommDestroy: graphs that hold its all-to-alls are destroyed before.
  NcclExchange(const NcclRanks& all, std::shared_ptr<NcclStepWatch> watch, int group_ranks, cudaStream_t stream);
  ~NcclExchange() override;
  int rank() const override { return group_->rank(); }
  int size() const override { return group_->size(); }
  std::shared_ptr<std::byte[]> allocate(std::int64_t bytes) override;
  void run(const void* sent, void* received, std::int64_t bytes) override;

 private:
  std::shared_ptr<NcclStepWatch> step_watch_;
  std::shared_ptr<NcclRanks> group_;
  std::unique_ptr<NcclWatch> watch_;  // for errors of this communicator
  cudaStream_t stream_;
};

}  // namespace gpumonth::comm
