// A collective of several sizes, timed, with values that are checked exactly. collective.h defines the bandwidths.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "comm/collective.h"
#include "comm/transport.h"

namespace gpumonth::comm {

struct CollectiveResult {
  std::int64_t bytes = 0;  ///< of one rank's fp32 values: all of what it holds, n shares where there are shares
  double bus_factor = 0;   ///< Collective's, of these ranks
  int repeats = 0;         ///< timed, back to back, after the warm-up
  double seconds = 0;      ///< of one, mean over the repeats; this and the next two: of the slowest rank
  double median_s = 0;
  double p99_s = 0;      ///< 99th percentile, nearest rank: the longest where repeats <= 100
  bool correct = false;  ///< every value on every rank

  double alg_bytes_per_s() const { return static_cast<double>(bytes) / seconds; }
  double bus_bytes_per_s() const { return alg_bytes_per_s() * bus_factor; }
};

struct CollectivePlan {
  int warmup = 5;   ///< untimed ones of each size
  int repeats = 0;  ///< timed ones of each size; 0: as many as take budget_s, between 5 and 1000
  double budget_s = 0.1;
};

/// Collective. One result per size, the same on every rank. Sizes are what Collective::count_of() makes of them.
std::vector<CollectiveResult> check_collective(Transport& transport, const Collective& operation,
                                               std::span<const std::int64_t> sizes_bytes,
                                               const CollectivePlan& plan = {});

}  // namespace gpumonth::comm
