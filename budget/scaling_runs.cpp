#include "budget/scaling_runs.h"

#include <string>

#include "base/error.h"
#include "runlog/summary.h"

namespace gpumonth::budget {
namespace {

void check_same(const runlog::Run& a, const runlog::Run& b) {
  const auto differ = [&](const char* what, const auto& x, const auto& y) {
    if (x == y) return;
    user_error(
        "{} and {} do not belong on one curve: {} is '{}' in one and '{}' in the other; fit them apart",
        a.path, b.path, what, x, y);
  };
  differ("the model", a.info.model_name, b.info.model_name);
  differ("the number of parameters", a.info.parameters, b.info.parameters);
  differ("the compute type", a.info.dtype, b.info.dtype);
  differ("the backend", a.info.backend, b.info.backend);
  differ("the device", a.info.device_name, b.info.device_name);
  differ("the number of threads per rank", a.info.threads_per_rank, b.info.threads_per_rank);
}

}  // namespace

ScalingCurve curve_of_runs(const std::vector<runlog::Run>& runs) {
  ScalingCurve curve;
  if (runs.empty()) user_error("no run logs: name at least one run.h5");
  curve.name = runs.front().info.model_name.empty() ? "runs" : runs.front().info.model_name;
  curve.source = fmt::format("{} run logs, {} on {}", runs.size(), runs.front().info.dtype,
                             runs.front().info.device_name);
  for (const auto& run : runs) {
    check_same(runs.front(), run);
    const auto summary = runlog::summarize(run);
    if (summary.steps == 0 || !(summary.samples_per_s > 0)) {
      curve.notes.push_back(
          fmt::format("{} has {} steps, none of them steady, and was left out", run.path, run.steps.size()));
      continue;
    }
    ScalingPoint& point = curve.points.emplace_back();
    point.ranks = run.info.world_size;
    point.samples_per_s = summary.samples_per_s;
    point.batch_per_rank = static_cast<double>(run.steady().front().samples) / run.info.world_size;
    point.run = run.path;
  }
  if (curve.points.empty())
    user_error("{}: {} steps, none of them steady: train for longer", runs.front().path,
               runs.front().steps.size());
  sort(curve);
  check(curve);
  return curve;
}

}  // namespace gpumonth::budget
