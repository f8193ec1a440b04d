// The transports whose gradients lie in host memory: "self" and "mpi". One communication thread a rank sums them.
#pragma once

#include "comm/host/self_communicator.h"
#include "comm/transport.h"

namespace gpumonth::comm {

class MpiCommunicator;

/// Memory is each process's own.
class HostTransport : public Transport {
 public:
  HostTransport(std::string name, std::unique_ptr<Communicator> ranks) : Transport(std::move(name), std::move(ranks)) {}
  std::shared_ptr<float[]> allocate(std::int64_t count) override;
  std::unique_ptr<GradientReducer> make_reducer(float* gradients, std::vector<Segment> segments,
                                                std::int64_t bucket_bytes, void* stream,
                                                const ReducerOptions& options = {}) override;
  std::unique_ptr<Exchange> make_exchange(int group_ranks, void* stream) override;
  std::unique_ptr<TimedCollective> make_timed(const Collective& operation, std::int64_t count) override;
};

/// One process alone.
class SelfTransport final : public HostTransport {
 public:
  SelfTransport() : HostTransport("self", std::make_unique<SelfCommunicator>()) {}
};

/// Memory is shared where all ranks are on one host.
class MpiTransport final : public HostTransport {
 public:
  /// Collective over MPI_COMM_WORLD. MPI must be initialised.
  explicit MpiTransport(double watchdog_s, bool use_shared_memory = true);
  std::shared_ptr<float[]> allocate(std::int64_t count) override;
  std::shared_ptr<std::byte[]> allocate_common(std::size_t bytes) override;

 private:
  MpiCommunicator& mpi_;  // ranks()
};

/// `count` zeroed floats of this process's own memory on a page boundary.
std::shared_ptr<float[]> allocate_private(std::int64_t count);

}  // namespace gpumonth::comm
