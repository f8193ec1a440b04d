// Ranks: one small interface over self (one process), MPI and NCCL. Bucketing and overlap live above it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace gpumonth::comm {

class GradientReducer;
struct Segment;
class TimedAllReduce;

/// What make_reducer() may be asked for beyond plain fp32 sums.
struct ReducerOptions {
  bool bf16_wire = false;        ///< comm.wire = "bf16"; "nccl" only
  bool shard_optimizer = false;  ///< comm.sharding = "optimizer": owned() and gather() of gradient_reducer.h
};

/// Collectives are called in the same order on every rank; a broken call prints
/// `[rank 3/8 node07] MPI_Allreduce: <text> at file:line - hint` and ends the job (MPI_Abort), never returns.
class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  virtual int local_rank() const = 0;  ///< rank among those on this host
  virtual int local_size() const = 0;
  virtual std::string transport() const = 0;  ///< "self", "mpi", "nccl"
  /// Host memory. Sums in place over all ranks, accumulated in fp32 (double for the second); blocks until done. The
  /// result is the same bits on every rank.
  virtual void all_reduce_sum(std::span<float> values) = 0;
  virtual void all_reduce_sum(std::span<double> values) = 0;
  virtual void broadcast(std::span<std::byte> bytes, int root) = 0;
  virtual void barrier() = 0;
  /// Every rank's values in rank order on `root`; empty elsewhere. All ranks give the same count.
  virtual std::vector<float> gather(std::span<const float> values, int root) = 0;
  virtual std::vector<std::string> all_gather(const std::string& text) = 0;
  /// Whether `mine` is true on every rank.
  bool all_ranks(bool mine) {
    const std::vector<std::string> said = all_gather(mine ? "yes" : "no");
    return std::count(said.begin(), said.end(), "yes") == size();
  }
  /// Ends every rank with this message and exit code.
  [[noreturn]] virtual void abort(const std::string& message, int exit_code) = 0;

  /// Zeroed memory for the flat gradients, on a page boundary. Collective. Where all ranks share a host it is
  /// shared memory, and all_reduce_sum of any part of it adds in place without a copy; with "nccl" it is GPU
  /// memory, registered, for the reducer alone.
  virtual std::shared_ptr<float[]> allocate(std::int64_t count) = 0;
  /// One piece of zeroed memory that all ranks see. Collective. Null, on every rank, where they cannot: ranks on
  /// several hosts, one rank, GPU memory.
  virtual std::shared_ptr<std::byte[]> allocate_common(std::size_t bytes) = 0;
  /// Collective. Reduces `gradients`, from allocate(), in buckets. `stream` is what the step's work is ordered on: a
  /// cudaStream_t, null on the CPU. Throws UserError where this transport lacks an option.
  virtual std::unique_ptr<GradientReducer> make_reducer(float* gradients, std::vector<Segment> events,
                                                        std::int64_t bucket_bytes, void* stream,
                                                        const ReducerOptions& options = {}) = 0;
  /// Collective. All-reduces of up to `count` floats of the kind of memory that gradients live in, timed.
  virtual std::unique_ptr<TimedAllReduce> make_timed_all_reduce(std::int64_t count);
  /// The GPU of this rank, as CUDA numbers those that this process sees; -1: none. It is the calling thread's current
  /// device after construction.
  virtual int gpu() const { return -1; }
  /// The same ranks with an order of collectives of its own, for another thread. Collective; `name` is a
  /// string literal for messages. Must not outlive the Environment.
  virtual std::unique_ptr<Communicator> duplicate(const char* name) = 0;
  /// Where the main thread is: string literal such as "backward", and the step; told by the watchdog's messages.
  virtual void set_context(const char* phase, std::int64_t step) = 0;
  /// How all_reduce_sum moves data, in words: "shared memory, 2 ranks".
  virtual std::string description() const = 0;
};

}  // namespace gpumonth::comm
