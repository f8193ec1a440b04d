// What gradients travel over: ranks, the memory that gradients live in, and what sums it. One row of transports() a kind.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "comm/communicator.h"

namespace gpumonth {
struct Segment;
}

namespace gpumonth::comm {

using gpumonth::Segment;
class Exchange;
class GradientReducer;
class TimedCollective;
class Watchdog;
struct ShardedStorage;
struct Collective;
struct CommOptions;
struct Launch;

/// What make_reducer() may be asked for beyond plain fp32 sums.
struct ReducerOptions {
  bool bf16_wire = false;        ///< comm.wire = "bf16"; "nccl" only
  bool shard_optimizer = false;  ///< comm.sharding = "optimizer": owned() and gather() of gradient_reducer.h
  StandIn stand_in = {};         ///< a replay's
  /// comm.sharding = "full": the memory that it works on; buckets are its segments. Null: gradients are whole.
  const ShardedStorage* full = nullptr;
};

class Transport {
 public:
  virtual ~Transport();
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  const std::string& name() const { return name_; }  ///< as in transports(): "self", "mpi", "nccl"
  Communicator& ranks() const { return *ranks_; }
  /// How gradients travel, in words: "shared memory, 2 ranks on one host".
  virtual std::string description() const { return ranks_->description(); }
  /// The GPU of this rank, as CUDA numbers those that this process sees; -1: none. It is the calling thread's current
  /// device after construction.
  virtual int gpu() const { return -1; }

  /// Zeroed memory for the flat gradients, on a page boundary. Collective. Where all ranks share a host it is
  /// shared memory, and collectives on any part of it work without a copy; with "nccl" it is GPU memory, registered,
  /// for the reducer alone.
  virtual std::shared_ptr<float[]> allocate(std::int64_t count) = 0;
  /// One piece of zeroed memory that all ranks see. Collective. Null, on every rank, where they cannot: ranks on
  /// several hosts, one rank, GPU memory.
  virtual std::shared_ptr<std::byte[]> allocate_common(std::size_t) { return nullptr; }
  /// Collective. Reduces `gradients`, from allocate(), in buckets, segment by segment (gradient_reducer.h). `stream` is
  /// what the step's work is ordered on: a cudaStream_t, null on the CPU. Throws UserError where this transport lacks
  /// an option.
  virtual std::unique_ptr<GradientReducer> make_reducer(float* gradients, std::vector<Segment> segments,
                                                        std::int64_t bucket_bytes, void* stream,
                                                        const ReducerOptions& options = {}) = 0;
  /// Collective. All-to-alls (exchange.h) within groups of `group_ranks` consecutive ranks, which divides their number, beside
  /// the reducer's collectives: in an order of their own. `stream` as above. UserError where this MPI cannot.
  virtual std::unique_ptr<Exchange> make_exchange(int group_ranks, void* stream) = 0;
  /// Collective. `operation`, which outlives what is made, on up to `count` floats of the kind of memory that gradients
  /// live in, timed.
  virtual std::unique_ptr<TimedCollective> make_timed(const Collective& operation, std::int64_t count) = 0;

  /// Where the main thread is: string literal such as "backward", and the step; told by the watchdog's messages.
  void set_context(const char* phase, std::int64_t step);

 protected:
  Transport(std::string name, std::unique_ptr<Communicator> ranks);
  /// That of ranks(), where somebody watches them.
  void set_watchdog(std::shared_ptr<Watchdog> watchdog);

 private:
  std::string name_;
  std::unique_ptr<Communicator> ranks_;
  std::shared_ptr<Watchdog> watchdog_;
};

/// One kind of transport. A new one is a file with its class, and a row of the table in transports.cpp.
struct TransportKind {
  const char* name;  ///< what comm.transport and --transport call it
  bool built;        ///< false: make() says why not
  const char* what;  ///< half a sentence for --help
  /// Collective over what the launcher started. Throws UserError where these ranks cannot have it.
  std::unique_ptr<Transport> (*make)(const Launch&, const CommOptions&);
};
std::span<const TransportKind> transports();

/// What comm.transport may be: "auto" (launch.h), then the names of transports().
std::vector<std::string> transport_names();

}  // namespace gpumonth::comm
