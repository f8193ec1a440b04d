// Ranks and their collectives, in host memory: one process (self_communicator.h) or MPI (mpi_communicator.h). Where
// gradients live and what sums them is a Transport's (transport.h), which owns one of these.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace gpumonth::comm {

/// What a replay sends in the place of gradients.
struct StandIn {
  /// False: values are sent as for a sum, and no sums need come out. Host memory alone makes use of it: there additions
  /// take time of cores that may have to play many hosts.
  bool adds = true;
  double byte_scale = 1;  ///< n values stand for n / byte_scale, and travel by the algorithm that those would take
  /// Half of the values that are summed travel: in host memory, which sends fp32, as many bytes as bf16 would be.
  bool halves = false;
  std::int64_t sent(std::int64_t values) const { return halves ? values / 2 : values; }
};

/// Collectives are called in the same order on every rank and block until done; a broken call prints
/// `[rank 3/8 node07] MPI_Allreduce: <text> at file:line - hint` and ends the job (MPI_Abort), never returns.
/// Sums are the same bits on every rank that gets them. Where values are made of shares, one a rank and in rank order,
/// their count is a multiple of size(); else std::invalid_argument.
class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  virtual int local_rank() const = 0;  ///< rank among those on this host
  virtual int local_size() const = 0;

  /// Sums in place over all ranks, accumulated in fp32 (double for the second).
  virtual void all_reduce_sum(std::span<float> values) = 0;
  virtual void all_reduce_sum(std::span<double> values) = 0;
  /// As all_reduce_sum() of what `values` stand for; between hosts, where nothing is added, `values` are undefined
  /// afterwards.
  virtual void all_reduce_in_place_of(std::span<float> values, const StandIn&) { all_reduce_sum(values); }
  /// The sum over all ranks of this rank's share, in place; the other shares are undefined afterwards.
  virtual void reduce_scatter_sum(std::span<float> values) = 0;
  /// Every rank's own share, to all ranks, in place.
  virtual void all_gather(std::span<float> values) = 0;
  /// Share s of `sent` goes to rank s, where it becomes the share of this rank in `received`. The two do not overlap.
  virtual void all_to_all(std::span<const float> sent, std::span<float> received) = 0;
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
  /// The same ranks with an order of collectives of its own, for another thread. Collective; `name` is a
  /// string literal for messages. Must not outlive the Environment.
  virtual std::unique_ptr<Communicator> duplicate(const char* name) = 0;
  /// The ranks that give the same `colour` (>= 0), in rank order, with an order of collectives of their own. Collective over
  /// all ranks; `name` as above.
  virtual std::unique_ptr<Communicator> split(int colour, const char* name) = 0;
  /// Zeroed memory, on a page boundary, in which collectives of this communicator and of its duplicates need no copy.
  /// Collective; null, on every rank, where there is none such.
  virtual std::shared_ptr<float[]> allocate_shared(std::int64_t) { return nullptr; }
  /// How collectives move data, in words: "shared memory, 2 ranks on one host".
  virtual std::string description() const = 0;
};

}  // namespace gpumonth::comm
