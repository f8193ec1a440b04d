// How much a run's throughput varies from run to run, in one set of runs.
#pragma once

#include <limits>
#include <string>
#include <vector>

#include "scaling/compare/run_set.h"

namespace gpumonth::scaling {

/// Runs of one set at one place, in the order of points().
struct Cell {
  std::int64_t ranks = 0;
  double batch_per_rank = std::numeric_limits<double>::quiet_NaN();  ///< NaN: unknown, or not told apart
  std::vector<const MeasuredRun*> runs;
  double log_mean = 0;  ///< of samples/s per rank
};

/// By ranks, then by falling batch. `use_batch` false: one cell per rank count. The set must outlive them.
std::vector<Cell> cells_of(const RunSet& set, bool use_batch);

/// Standard deviations of log throughput, about the relative ones.
struct RunNoise {
  double run_to_run = std::numeric_limits<double>::quiet_NaN();  ///< of single runs, pooled over cells; all causes
  double freedom = 0;  ///< of run_to_run: runs - cells; 0: no repeats, and run_to_run is not known
  double within = std::numeric_limits<double>::quiet_NaN();   ///< root mean square over runs; NaN from a table
  double between = std::numeric_limits<double>::quiet_NaN();  ///< what `within` does not explain, 0 at least
  double uneven_p = 1;  ///< Bartlett's test that all cells scatter alike; 1 where fewer than two have repeats
};

RunNoise noise_of(const std::vector<Cell>& cells);

/// Of log throughput, among the cell's two runs or more.
double variance_of(const Cell& cell);

/// Below it one spread is not taken for all points. High, because with 2 to 5 repeats Bartlett's test sees
/// little, and taking each point's own spread without need costs little.
constexpr double kUnevenP = 0.2;

/// Where neither set repeats a run: what runs of the same job are supposed to differ by.
struct AssumedNoise {
  static constexpr double kBetween = 0.01;
  static constexpr double kFreedom = 3;
  static constexpr const char* kSource =
      "root mean square over the seven scales of GPT-3 175B in MLPerf Training v3.1 (NVIDIA Eos, 512 to "
      "10,752 GPUs, three "
      "runs each): 0.9 %, from 0.04 % to 2.3 %";
};

}  // namespace gpumonth::scaling
