// A cluster's latencies and bandwidths from what `gpumonth comm --log` measured on it, instead of a datasheet's.
#pragma once

#include <string>
#include <vector>

#include "runlog/record.h"
#include "simulate/cluster.h"

namespace gpumonth::simulate {

/// All-reduces below this are no gradient buckets, and go another way (MPI's own, NCCL's LL): left out of the fit.
constexpr std::int64_t kSmallestBucketBytes = 64 << 10;

/// How well one level's latency and bandwidth explain what was measured.
struct LevelFit {
  int rows = 0;              ///< sizes x logs; 0: no log of this level, the cluster file's numbers stay
  double median_error = 0;   ///< of |model / measured - 1|
  double largest_error = 0;  ///< and the largest, at
  std::int64_t largest_bytes = 0;
};

struct Calibration {
  LevelFit inside, between;
  std::vector<std::string> notes;
};

/// Replaces latency, bandwidth and efficiency (by 1) of `inside`, from logs of several ranks on one host, and of `between`,
/// from logs of several hosts, by non-negative least squares of relative errors of the medians over size and ranks, on the
/// sums of all_reduce.h; of the algorithm "fastest" those of the ring. Tags become "measured", sources name the logs. Throws
/// UserError: no all-reduce sweep in a log, one rank, ranks spread unevenly, several hosts of several ranks where nothing
/// tells what is inside, or sizes from which no bandwidth follows.
Calibration calibrate(Cluster& cluster, const std::vector<runlog::Run>& logs);

}  // namespace gpumonth::simulate
