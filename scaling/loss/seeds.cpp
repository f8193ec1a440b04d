// Several trainings of one size with the same data and compute, as one point.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "scaling/loss/loss_runs.h"

namespace gpumonth::scaling {
namespace {

bool same_point(const LossRun& a, const LossRun& b) {
  const auto same = [](double x, double y) { return std::abs(x - y) <= 1e-9 * x; };
  return same(a.parameters, b.parameters) && same(a.tokens, b.tokens) && same(a.model_flops, b.model_flops);
}

double mean_of(const std::vector<LossRun>& seeds, double LossRun::*what) {
  double sum = 0;
  for (const auto& run : seeds) sum += run.*what;
  return sum / static_cast<double>(seeds.size());
}

std::string name_of(const std::vector<LossRun>& seeds) {
  return seeds.size() == 1 ? seeds.front().name : fmt::format("{} and {} more", seeds.front().name, seeds.size() - 1);
}

}  // namespace

LossRuns average_seeds(const LossRuns& data) {
  std::vector<std::vector<LossRun>> points;
  for (const auto& run : data.runs) {
    const auto of = std::ranges::find_if(points, [&](const auto& seeds) { return same_point(seeds.front(), run); });
    if (of == points.end())
      points.push_back({run});
    else
      of->push_back(run);
  }
  double squares = 0, freedom = 0;  // of relative differences to each point's mean
  for (const auto& seeds : points) {
    const double mean = mean_of(seeds, &LossRun::loss);
    for (const auto& run : seeds) squares += (run.loss / mean - 1) * (run.loss / mean - 1);
    freedom += static_cast<double>(seeds.size()) - 1;
  }
  if (freedom == 0)
    user_error(
        "fit --average-seeds: no two of the {} runs have the same size, data and compute: give it runs of several seeds, as "
        "jobs/isoflop.sh --seeds makes them",
        data.runs.size());
  const double scatter = std::sqrt(squares / freedom);
  LossRuns all{data.kind, {}, data.notes};
  for (const auto& seeds : points) {
    LossRun& point = all.runs.emplace_back(seeds.front());
    point.name = name_of(seeds);
    point.loss = mean_of(seeds, &LossRun::loss);
    const double of_seeds = scatter * point.loss / std::sqrt(static_cast<double>(seeds.size()));
    // The scatter of training losses has each run's own error in it, but validation samples are off alike for all.
    const double of_samples = data.kind == LossKind::validation ? mean_of(seeds, &LossRun::standard_error) : 0;
    point.standard_error = std::hypot(of_seeds, of_samples);
  }
  all.notes.push_back(fmt::format("{} runs are {} points, means over seeds, which scatter by {:.1f} % about them",
                                  data.runs.size(), points.size(), 100 * scatter));
  return all;
}

}  // namespace gpumonth::scaling
