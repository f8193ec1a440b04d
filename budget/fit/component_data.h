// Columns of run logs as the component model takes them, and resamples of them.
#pragma once

#include <cstddef>
#include <random>
#include <string>
#include <vector>

#include "runlog/record.h"

namespace gpumonth::budget {

struct ComponentData {
  std::string path;
  int ranks = 1, hosts = 1;
  double batch_per_rank = 0;
  std::vector<double> step_s, data_s, compute_s, optimizer_s, exposed_s, other_s;  ///< of steady steps
  struct Bucket {
    double bytes = 0;
    std::vector<double> ready_s, duration_s;  ///< by sampled steady step
  };
  std::vector<Bucket> buckets;
  std::vector<std::vector<double>> busy_s;  ///< (sampled steady steps, ranks); empty on one rank
};

/// Empty columns where the log has no steady step.
ComponentData component_data(const runlog::Run& run);

/// Steps in moving blocks of n^(1/3), sampled buckets and busy rows one by one. Not ranks: one drawn twice
/// never waits for itself, which would make the jitter between ranks too small.
ComponentData resample(const ComponentData& data, std::mt19937_64& random);

}  // namespace gpumonth::budget
