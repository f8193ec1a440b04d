// All-reduces of several sizes, timed, with sums that are checked exactly.
//
// As nccl-tests defines them (doc/PERFORMANCE.md there): algorithm bandwidth = bytes / time; bus bandwidth =
// that x 2 (P-1)/P, what the slowest link carries in a ring, comparable over rank counts and with the link's
// own rate.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "comm/communicator.h"

namespace gpumonth::comm {

struct AllReduceResult {
  std::int64_t bytes = 0;  ///< of one rank's fp32 values, summed in place
  int repeats = 0;         ///< timed, back to back, after the warm-up
  double seconds = 0;      ///< of one, mean over the repeats; this and the next two: of the slowest rank
  double median_s = 0;
  double p99_s = 0;      ///< 99th percentile, nearest rank: the longest where repeats <= 100
  bool correct = false;  ///< every value on every rank

  double alg_bytes_per_s() const { return static_cast<double>(bytes) / seconds; }
  double bus_bytes_per_s(int ranks) const { return alg_bytes_per_s() * 2 * (ranks - 1) / ranks; }
};

struct AllReducePlan {
  int warmup = 5;   ///< untimed ones of each size
  int repeats = 0;  ///< timed ones of each size; 0: as many as take budget_s, between 5 and 1000
  double budget_s = 0.1;
};

/// Collective. One result per size (multiples of 4), the same on every rank.
std::vector<AllReduceResult> check_all_reduce(Communicator& communicator, std::span<const std::int64_t> sizes_bytes,
                                              const AllReducePlan& plan = {});

}  // namespace gpumonth::comm
