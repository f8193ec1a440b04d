#include "scaling/compare/noise.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/sampling_distributions.h"

namespace gpumonth::scaling {
namespace {

/// Repeats that agree to more digits than this were not measured, or were rounded.
constexpr double kResolution = 1e-6;

double squares_of(const Cell& cell) {
  double sum = 0;
  for (const auto* run : cell.runs) {
    const double d = std::log(run->samples_per_s / static_cast<double>(run->ranks)) - cell.log_mean;
    sum += d * d;
  }
  return sum;
}

}  // namespace

double variance_of(const Cell& cell) {
  return std::max(squares_of(cell) / static_cast<double>(cell.runs.size() - 1), kResolution * kResolution);
}

namespace {

/// Snedecor and Cochran, Statistical Methods, 8th edition, 13.10.
double bartlett(const std::vector<Cell>& cells) {
  double freedom = 0, squares = 0, logs = 0, inverse = 0, count = 0;
  for (const auto& cell : cells) {
    if (cell.runs.size() < 2) continue;
    const double f = static_cast<double>(cell.runs.size() - 1);
    const double variance = variance_of(cell);
    freedom += f;
    squares += f * variance;
    logs += f * std::log(variance);
    inverse += 1 / f;
    ++count;
  }
  if (count < 2) return 1;
  const double statistic =
      (freedom * std::log(squares / freedom) - logs) / (1 + (inverse - 1 / freedom) / (3 * (count - 1)));
  return chi_squared_upper(count - 1, std::max(0.0, statistic));
}

}  // namespace

std::vector<Cell> cells_of(const RunSet& set, bool use_batch) {
  std::map<std::pair<std::int64_t, double>, Cell> cells;
  for (const auto& run : set.runs) {
    Cell& cell = cells[{run.ranks, use_batch ? -run.batch_per_rank : 0}];
    cell.ranks = run.ranks;
    if (use_batch) cell.batch_per_rank = run.batch_per_rank;
    cell.runs.push_back(&run);
  }
  std::vector<Cell> result;
  for (auto& [place, cell] : cells) {
    for (const auto* run : cell.runs)
      cell.log_mean +=
          std::log(run->samples_per_s / static_cast<double>(run->ranks)) / static_cast<double>(cell.runs.size());
    result.push_back(std::move(cell));
  }
  return result;
}

RunNoise noise_of(const std::vector<Cell>& cells) {
  RunNoise noise;
  double squares = 0, within = 0, with_steps = 0;
  for (const auto& cell : cells) {
    squares += squares_of(cell);
    noise.freedom += static_cast<double>(cell.runs.size() - 1);
    for (const auto* run : cell.runs) {
      if (std::isnan(run->within)) continue;
      within += run->within * run->within;
      ++with_steps;
    }
  }
  if (with_steps > 0) noise.within = std::sqrt(within / with_steps);
  if (noise.freedom == 0) return noise;
  noise.run_to_run = std::max(std::sqrt(squares / noise.freedom), kResolution);
  if (with_steps > 0)
    noise.between = std::sqrt(std::max(0.0, noise.run_to_run * noise.run_to_run - noise.within * noise.within));
  noise.uneven_p = bartlett(cells);
  return noise;
}

}  // namespace gpumonth::scaling
