#include "runlog/busy_spread.h"

#include <algorithm>

namespace gpumonth::runlog {

double squares_around_mean(std::span<const float> busy_s) {
  const auto ranks = static_cast<double>(busy_s.size());
  double mean = 0, squares = 0;
  for (const double x : busy_s) mean += x / ranks;
  for (const double x : busy_s) squares += (x - mean) * (x - mean);
  return squares;
}

BusySums busy_sums(const Run& run) {
  BusySums sums;
  const auto ranks = static_cast<std::size_t>(run.info.world_size);
  if (ranks < 2 || run.rank_step_time_s.size() != run.rank_steps.size() * ranks) return sums;
  sums.mean_s.assign(ranks, 0);
  for (std::size_t i = 0; i < run.rank_steps.size(); ++i) {
    if (!run.is_steady(run.rank_steps[i])) continue;
    const auto row = std::span(run.rank_step_time_s).subspan(i * ranks, ranks);
    for (std::size_t r = 0; r < ranks; ++r) sums.mean_s[r] += row[r];
    sums.squares += squares_around_mean(row);
    sums.rows += 1;
  }
  for (double& mean : sums.mean_s) mean /= std::max(1.0, sums.rows);
  return sums;
}

void BusySpread::add(const BusySums& d) {
  const double rows = d.rows;
  const auto ranks = static_cast<double>(d.mean_s.size());
  if (rows < 2 || ranks < 2) return;
  double mean = 0, squares = 0;
  for (const double busy : d.mean_s) mean += busy / ranks;
  if (!(mean > 0)) return;
  for (const double busy : d.mean_s) squares += (busy - mean) * (busy - mean);
  within += std::max(0.0, d.squares - rows * squares) / (mean * mean);
  between += squares / (mean * mean);
  within_freedom += (rows - 1) * (ranks - 1);
  between_freedom += ranks - 1;
  noise += (ranks - 1) / rows;
  drawn_freedom += (rows - 1) * (rows - 1) / rows * (ranks - 1);
}

double BusySpread::persistent_variance(double between_square, double within_square) const {
  return std::max(0.0, between_square - within_square * noise / between_freedom);
}

}  // namespace gpumonth::runlog
