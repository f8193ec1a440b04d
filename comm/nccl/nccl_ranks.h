// A connected NCCL communicator, shared by all that use it: memory, reducers, the watch.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>

#include "comm/communicator.h"
#include "comm/nccl/nccl_check.h"
#include "comm/watchdog.h"

namespace gpumonth::comm {

/// Ends with ncclCommDestroy, which waits for CUDA graphs that hold collectives of it: destroy those first.
/// Where an exception is passing through, with ncclCommAbort, since the other ranks may not come.
class NcclRanks {
 public:
  /// Collective over `host`. One rank connects to nothing: handle() is null. A NCCL that has not connected
  /// after `deadline_s` ends the job.
  NcclRanks(Communicator& host, int device, double deadline_s);
  /// Collective over `all`: those that give the same colour become a communicator, in rank order (ncclCommSplit); of its
  /// `size` this one is to be `rank`.
  NcclRanks(const NcclRanks& all, int colour, int rank, int size);
  ~NcclRanks();
  NcclRanks(const NcclRanks&) = delete;
  NcclRanks& operator=(const NcclRanks&) = delete;

  ncclComm_t handle() const { return handle_; }
  /// What NCCL met while collectives were under way; ncclSuccess after abort(), which frees what could tell.
  ncclResult_t async_error();
  int rank() const { return rank_; }
  int size() const { return size_; }
  /// Ends what is under way on the GPU; for a job that is about to end. At most once, from any thread.
  void abort();

 private:
  int rank_, size_, exceptions_;
  ncclComm_t handle_ = nullptr;
  std::mutex mutex_;  // of what follows: the watches ask while another thread may abort
  bool aborted_ = false;
};

/// A thread that asks NCCL every 0.25 s for an error that a collective met while it was under way, such as a
/// peer that closed its connection, and then ends the job with NCCL's text.
class NcclWatch {
 public:
  explicit NcclWatch(std::shared_ptr<NcclRanks> ranks);
  ~NcclWatch();
  NcclWatch(const NcclWatch&) = delete;
  NcclWatch& operator=(const NcclWatch&) = delete;

 private:
  void run();

  std::shared_ptr<NcclRanks> ranks_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;
  std::thread thread_;
};

/// The host's watchdog looks after a step's collectives too: one that does not end ends the job, and the
/// message says which ranks were waited for. Null watchdog (one rank): nothing to wait for.
class NcclStepWatch {
 public:
  NcclStepWatch(std::shared_ptr<Watchdog> watchdog, const std::shared_ptr<NcclRanks>& ranks);
  void enter(const char* what, std::int64_t bytes = 0);
  void leave();

 private:
  std::shared_ptr<Watchdog> watchdog_;
  int channel_ = 0;
};

}  // namespace gpumonth::comm
