// Columns of run logs as the component model takes them, and resamples of them. Sums stand for the log, so that a
// resample costs blocks and not steps, however long the log is.
#pragma once

#include <cstddef>
#include <random>
#include <string>
#include <vector>

#include "runlog/busy_spread.h"
#include "runlog/record.h"
#include "scaling/bootstrap.h"

namespace gpumonth::scaling {

/// Means over the steps that count, or over a resample of them, s.
struct ComponentData {
  std::string path;
  int ranks = 1, hosts = 1;
  double batch_per_rank = 0;
  double step_s = 0, data_s = 0, compute_s = 0, optimizer_s = 0, exposed_s = 0, other_s = 0;
  struct Bucket {
    double bytes = 0, ready_s = 0, duration_s = 0;  ///< over the sampled steps that count
  };
  std::vector<Bucket> buckets;
  runlog::BusySums busy;  ///< of the sampled steps that count; empty on one rank
};

class ComponentSums {
 public:
  explicit ComponentSums(const runlog::Run& run);
  std::size_t steps() const { return steps_.rows(); }
  /// Of the log as it is. At least one step.
  ComponentData means() const;
  /// Steps, sampled buckets and busy rows in moving blocks of n^(1/3). Not ranks: one drawn twice never waits for
  /// itself, which would make the jitter between ranks too small.
  ComponentData resample(std::mt19937_64& random) const;

 private:
  template <class Draw>  // the sums of a BlockSums
  ComponentData data(Draw&& draw) const;

  ComponentData facts_;  ///< path, ranks, hosts
  BlockSums steps_{7};   ///< samples, and the times
  std::vector<double> bucket_bytes_;
  std::vector<BlockSums> buckets_;  ///< ready_s, duration_s
  BlockSums busy_;                  ///< each rank's, and the row's squares
};

}  // namespace gpumonth::scaling
