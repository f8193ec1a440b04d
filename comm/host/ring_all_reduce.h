// All-reduce of floats over MPI point-to-point messages: reduce-scatter, then all-gather, round a ring; or one of them.
//
// Why not MPI_Allreduce: Open MPI spins while it waits, and the communication thread has no core to spin on;
// and at 64 MiB its rate is a quarter of that at 1 MiB. Here a wait sleeps, messages are pieces that stay in
// the cache, several under way, and each value is summed by one rank, so that all ranks hold the same bits.
// Wire cost: 2 (P-1)/P x bytes per rank, the least for an all-reduce (Patarasuk & Yuan 2009).
#pragma once

#include <mpi.h>

#include <span>
#include <vector>

namespace gpumonth::comm {

class RingAllReduce {
 public:
  /// `comm` must outlive this object, and nothing else may use `tag` on it.
  RingAllReduce(MPI_Comm comm, int tag);
  void sum(std::span<float> values);
  /// As Communicator's, of equal shares.
  void reduce_scatter(std::span<float> values);
  void all_gather(std::span<float> values);
  /// The messages of sum() with nothing added.
  void send_only(std::span<float> values);

 private:
  struct Turn;
  void run(std::span<float> values, bool reduces, bool gathers, bool adds = true);
  MPI_Comm comm_;
  int tag_, rank_ = 0, size_ = 1;
  std::vector<float> incoming_;  // pieces received and not yet added
};

}  // namespace gpumonth::comm
