// All-reduces of several sizes, timed, with sums that can be checked exactly.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "comm/communicator.h"

namespace gpumonth::comm {

struct AllReduceResult {
  std::int64_t bytes = 0;
  double seconds = 0;  ///< of one all-reduce, mean over a few, slowest rank
  double bus_bytes_per_s =
      0;  ///< 2 (P-1)/P x bytes / seconds, comparable over rank counts (nccl-tests, PERFORMANCE.md)
  bool correct = false;  ///< every value on every rank
};

/// Collective. One result per size, the same on every rank. Takes about a tenth of a second per size.
std::vector<AllReduceResult> check_all_reduce(Communicator& communicator,
                                              std::span<const std::int64_t> sizes_bytes);

}  // namespace gpumonth::comm
