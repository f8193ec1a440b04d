// Validation loss against the noise level, a curve for each checkpoint.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/figures.h"
#include "report/svg.h"

namespace gpumonth::report {

std::string noise_level_figure(const Quality& quality) {
  Plot plot(kFigureWidth, 340 + 18 * static_cast<int>((quality.checkpoints.size() + 2) / 3));
  plot.line("set xlabel 'timestep t: 0 is the sample, 999 all noise'").line("set ylabel 'validation loss'");
  plot.line("set key outside top left horizontal Left reverse samplen 1.6 maxcols 3 height 0.5");
  plot.line("set lmargin 9").line("set xrange [0:1000]");
  std::string command;
  double low = INFINITY, high = 0;
  for (std::size_t i = 0; i < quality.checkpoints.size(); ++i) {
    const CheckpointQuality& q = quality.checkpoints[i];
    if (q.by_noise_level.empty()) continue;
    std::vector<std::vector<double>> rows;
    for (const NoiseLevelLoss& level : q.by_noise_level) {
      rows.push_back({(level.t_from + level.t_to + 1) / 2, level.loss, level.standard_error});
      low = std::min(low, level.loss);
      high = std::max(high, level.loss);
    }
    plot.data(fmt::format("levels{}", i), rows);
    command += fmt::format("{}$levels{} using 1:2:3 with yerrorlines lw 2 pt 7 ps 0.5 lc rgb '{}' title {}",
                           command.empty() ? "" : ", ", i, series_colour(i),
                           quoted(fmt::format("{}, step {}", q.run, q.step)));
  }
  if (command.empty()) return "";
  if (low > 0 && high / low > 20) plot.line("set logscale y");
  plot.line("plot " + command);
  return plot.svg("fig-noise-levels", "Validation loss against the timestep");
}

}  // namespace gpumonth::report
