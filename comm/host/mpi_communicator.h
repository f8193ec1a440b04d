// Ranks over MPI, and over shared memory where all are on one host.
#pragma once

#include <mpi.h>

#include "comm/communicator.h"
#include "comm/host/ring_all_reduce.h"
#include "comm/host/shared_group.h"
#include "comm/watchdog.h"

namespace gpumonth::comm {

class MpiCommunicator final : public Communicator {
 public:
  /// Collective over MPI_COMM_WORLD. MPI must be initialised.
  explicit MpiCommunicator(double watchdog_s, bool use_shared_memory = true);
  ~MpiCommunicator() override;
  MpiCommunicator(const MpiCommunicator&) = delete;
  MpiCommunicator& operator=(const MpiCommunicator&) = delete;

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  int local_rank() const override { return local_rank_; }
  int local_size() const override { return local_size_; }
  std::string description() const override;
  void all_reduce_sum(std::span<float> values) override;
  void all_reduce_sum(std::span<double> values) override;
  void all_reduce_in_place_of(std::span<float> values, const StandIn& stand_in) override;
  void reduce_scatter_sum(std::span<float> values) override;
  void all_gather(std::span<float> values) override;
  void all_to_all(std::span<const float> sent, std::span<float> received) override;
  void broadcast(std::span<std::byte> bytes, int root) override;
  void barrier() override;
  std::vector<float> gather(std::span<const float> values, int root) override;
  std::vector<std::string> all_gather(const std::string& text) override;
  [[noreturn]] void abort(const std::string& message, int exit_code) override;
  std::unique_ptr<Communicator> duplicate(const char* name) override;
  std::unique_ptr<Communicator> split(int colour, const char* name) override;

  /// What Transport's functions of these names give; null where ranks are on several hosts. Collective.
  std::shared_ptr<float[]> allocate_shared(std::int64_t count);
  std::shared_ptr<std::byte[]> allocate_common(std::size_t bytes);
  /// For transports that put their own collectives under its watch.
  const std::shared_ptr<Watchdog>& watchdog() const { return watchdog_; }

 private:
  MpiCommunicator(MpiCommunicator& original, const char* name);
  MpiCommunicator(MpiCommunicator& original, MPI_Comm part, const char* name);
  void adopt(MPI_Comm comm);
  void look_at_host();
  std::vector<int> watched_ranks() const;
  void wait(MPI_Request request);

  MPI_Comm comm_ = MPI_COMM_NULL;
  int rank_ = 0, size_ = 1, local_rank_ = 0, local_size_ = 1;
  std::shared_ptr<Watchdog> watchdog_;  // of all ranks, also where these are a part
  int channel_ = 0;
  bool shares_memory_ = false;           // where ranks are on one host
  std::unique_ptr<SharedGroup> shared_;  // null where ranks are on several hosts
  std::unique_ptr<RingAllReduce> ring_;
};

}  // namespace gpumonth::comm
