// Ranks with a GPU each: gradients are summed by NCCL in GPU memory, everything in host memory goes through
// the communicator that this transport owns.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "comm/nccl/nccl_ranks.h"
#include "comm/nccl/nccl_transport.h"

namespace gpumonth::comm {

class NcclTransport final : public Transport {
 public:
  /// See make_nccl_transport(). `device` is the calling thread's current one.
  NcclTransport(std::unique_ptr<Communicator> host, std::shared_ptr<Watchdog> watchdog, int device,
                std::string device_name, double deadline_s);
  ~NcclTransport() override;

  std::string description() const override;
  int gpu() const override { return device_; }
  /// GPU memory from ncclMemAlloc, registered, where NCCL and the driver can do that; else from cudaMalloc.
  std::shared_ptr<float[]> allocate(std::int64_t count) override;
  std::unique_ptr<GradientReducer> make_reducer(float* gradients, std::vector<Segment> segments,
                                                std::int64_t bucket_bytes, void* stream,
                                                const ReducerOptions& options = {}) override;
  std::unique_ptr<Exchange> make_exchange(int group_ranks, void* stream) override;
  std::unique_ptr<TimedCollective> make_timed(const Collective& operation, std::int64_t count) override;

 private:
  /// A communicator of some of the ranks, and what looks after it. Lives as long as the transport: a graph of the step may
  /// hold its collectives, and outlives the reducer.
  struct Part {
    std::shared_ptr<NcclRanks> ranks;
    std::unique_ptr<NcclWatch> watch;
  };
  /// Collective: groups of `group_ranks` consecutive ranks; and the ranks that have the same place in their groups.
  std::shared_ptr<NcclRanks> group(int group_ranks);
  std::shared_ptr<NcclRanks> counterparts(int group_ranks);
  std::shared_ptr<NcclRanks> split(int colour, int rank, int size);

  int device_;
  std::string device_name_;
  std::shared_ptr<NcclRanks> nccl_;
  std::shared_ptr<NcclStepWatch> step_watch_;
  std::unique_ptr<NcclWatch> watch_;
  std::vector<Part> parts_;
};

}  // namespace gpumonth::comm
