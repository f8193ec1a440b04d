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
  /// `group` has a communicator of its own, which lives longer than graphs that hold its all-to-alls.
  NcclExchange(std::shared_ptr<NcclRanks> group, cudaStream_t stream) : group_(std::move(group)), stream_(stream) {}
  int rank() const override { return group_->rank(); }
  int size() const override { return group_->size(); }
  std::shared_ptr<std::byte[]> allocate(std::int64_t bytes) override;
  void run(const void* sent, void* received, std::int64_t bytes) override;

 private:
  std::shared_ptr<NcclRanks> group_;
  cudaStream_t stream_;
};

}  // namespace gpumonth::comm
