// Two sets of runs compared: scaling efficiency and throughput by rank count, differences with intervals,
// tests, and where a difference comes from. docs/method.md, "Comparing two sets", derives it.
//
// The unit of replication is the run: its throughput over all steps that count. Noise is normal on the logarithm,
// with a variance of its own in each set, pooled over the set's points unless these scatter unevenly.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "scaling/compare/contrast.h"
#include "scaling/compare/noise.h"
#include "scaling/compare/run_set.h"

namespace gpumonth::scaling {

constexpr double kConfidence = 0.9;  ///< of intervals
constexpr double kTestLevel = 0.1;   ///< at which a difference counts as found
constexpr double kWantedPower = 0.8;

/// One set at one place.
struct CompareSide {
  double samples_per_s_per_rank = 0;         ///< geometric mean over runs
  double efficiency = 1, low = 1, high = 1;  ///< 90 % interval
  std::size_t runs = 0;
  double step_time_s = 0;            ///< of the mean throughput; 0 where the batch is unknown
  std::optional<StepShares> shares;  ///< mean over runs; they sum to step_time_s
};

struct CompareRow {
  std::int64_t ranks = 0, baseline_ranks = 0;
  double batch_per_rank = 0, baseline_batch = 0;  ///< NaN where unknown
  bool is_baseline = false;                       ///< efficiency 1 by definition
  CompareSide a, b;
  double difference = 0, low = 0, high = 0;  ///< efficiency of A - efficiency of B, 90 % interval
  double p_value = 1;                        ///< of this row alone
  double smallest_difference = 0;            ///< of efficiencies, found here with 80 % power; NaN where none is
  double throughput_ratio = 1, ratio_low = 1, ratio_high = 1;  ///< A / B, 90 % interval
  /// What each share of the step adds to `difference`; they sum to it.
  std::optional<StepShares> contributions;
};

/// Of the mean over rows of log(A / B), by Welch's t; and of any pattern over rows, by F.
struct CompareTest {
  double ratio = 1, low = 1, high = 1;  ///< geometric mean over the rows of A / B, 90 % interval
  double p_value = 1;                   ///< that the mean is 1
  double freedom = 0;                   ///< of the t
  /// The relative difference, the same in every row, that is found with 80 % power at the 10 % level; NaN:
  /// none is.
  double smallest_difference = 0;
  double power_at_3_percent = 0;  ///< against B at 0.97 of A in every row
  ContrastTest any_pattern;       ///< that every row's ratio is 1
};

enum class NoiseSource { measured, other_set, assumed };

struct CompareNoise {
  RunNoise measured;
  NoiseSource source = NoiseSource::measured;
  double run_to_run = 0, freedom = 0;  ///< what the tests used
};

struct Comparison {
  RunSet a, b;
  CompareNoise noise_a, noise_b;
  std::vector<CompareRow> rows;  ///< by ranks, then by falling batch
  CompareTest efficiency;        ///< over rows that are no baseline
  CompareTest throughput;        ///< per rank, over all rows
  std::vector<std::string> notes;
};

/// Throws UserError where the sets cannot be compared: other models or units, fewer than two rank counts in common.
Comparison compare(RunSet a, RunSet b);

std::string to_text(const Comparison& comparison);
std::string to_json_text(const Comparison& comparison);

}  // namespace gpumonth::scaling
