// A collective operation as `gpumonth comm --op` measures it, like a testColl of nccl-tests: one file an operation in
// comm/bench/, one line in collectives.cpp.
//
// Sizes and bandwidths are those of nccl-tests (its doc/PERFORMANCE.md): the size S is what a rank holds of the larger
// of what it sends and what it receives, which are n shares for all but the all-reduce; algorithm bandwidth = S / time;
// bus bandwidth = that x bus_factor(n), what the slowest link carries at best, comparable over operations and rank
// counts and with the link's own rate.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace gpumonth::comm {

class Communicator;
class NcclCalls;

/// One rank's fp32 values: n shares of share() where the operation has shares.
struct CollectiveBuffers {
  float* values = nullptr;      ///< `count`: received, and sent too where the operation is in place
  const float* sent = nullptr;  ///< `count`: where it is not; else `values`
  std::int64_t count = 0;
  int rank = 0, ranks = 1;

  std::int64_t share() const { return count / ranks; }
  float* own_share() const { return values + rank * share(); }
  std::span<float> all() const { return {values, static_cast<std::size_t>(count)}; }
  std::span<const float> all_sent() const { return {sent, static_cast<std::size_t>(count)}; }
};

/// What a rank must hold of one share afterwards.
struct ExpectedShare {
  enum From { nobody, one_rank, sum_of_all };  ///< nobody: it may hold anything
  From from = nobody;
  int sender = 0;    ///< of one_rank
  int position = 0;  ///< which share of what was sent
};

struct Collective {
  const char* name;   ///< "reduce_scatter": --op, JSON, the run log
  const char* title;  ///< "reduce-scatter", in sentences
  bool sums;          ///< values are added up; else moved
  bool in_place;
  bool in_shares;               ///< n equal ones; else `values` is one piece
  double (*bus_factor)(int n);  ///< of n ranks
  const char* bus_formula;      ///< "(n-1)/n"
  /// Does it once, in host memory.
  void (*on_host)(Communicator& ranks, const CollectiveBuffers& buffers);
  /// Enqueues it once, in GPU memory.
  void (*on_nccl)(NcclCalls& nccl, const CollectiveBuffers& buffers);
  /// Share `share` of what is received; without shares there is one, 0.
  ExpectedShare (*expected)(const CollectiveBuffers& buffers, int share);

  /// The values that a size of `bytes` comes to on n ranks. Shares are whole multiples of 16 bytes, as in nccl-tests.
  std::int64_t count_of(std::int64_t bytes, int n) const { return in_shares ? bytes / 4 / n / 4 * 4 * n : bytes / 4; }
};

std::span<const Collective> collectives();

/// By name. std::invalid_argument: there is none.
const Collective& collective(std::string_view name);

}  // namespace gpumonth::comm
