// All-to-alls within groups of ranks over a Communicator: in host memory, on the calling thread.
#pragma once

#include "comm/communicator.h"
#include "comm/exchange.h"

namespace gpumonth::comm {

class HostExchange final : public Exchange {
 public:
  /// Collective over `ranks`: each `group_ranks` consecutive ones become a group. UserError: an MPI that two threads must
  /// not call at a time, as gradients are summed beside it.
  HostExchange(Communicator& ranks, int group_ranks);
  int rank() const override { return group_->rank(); }
  int size() const override { return group_->size(); }
  std::shared_ptr<std::byte[]> allocate(std::int64_t bytes) override;
  void run(const void* sent, void* received, std::int64_t bytes) override;

 private:
  std::unique_ptr<Communicator> group_;
};

}  // namespace gpumonth::comm
