#include "scaling/curve_of_runs.h"

#include <string>

#include "base/error.h"
#include "scaling/measured_run.h"

namespace gpumonth::scaling {
namespace {

void check_same(const runlog::Run& a, const RunFacts& facts_a, const runlog::Run& b, const RunFacts& facts_b) {
  if (const auto differs = difference(facts_a, facts_b))
    user_error("{} and {} do not belong on one curve: {}; fit them apart", a.path, b.path, to_text(*differs));
}

/// Of logs that have steady steps; `places`: where they stand in the list.
struct Counted {
  std::vector<PlacedRun> runs;
  std::vector<std::size_t> places;
  std::vector<runlog::Summary> summaries;
};

Counted with_steps(const std::vector<runlog::Run>& runs) {
  Counted all;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const runlog::Summary summary = runlog::summarize(runs[i]);
    if (summary.steps == 0) continue;
    const int ranks = runs[i].info.world_size;
    all.runs.push_back({runs[i].path, ranks, summary.batch() / ranks, runs[i].info.origin});
    all.places.push_back(i);
    all.summaries.push_back(summary);
  }
  return all;
}

}  // namespace

ScalingPoint point_of(const runlog::Summary& summary, const PlacedRun& run) {
  ScalingPoint point{.ranks = run.ranks, .samples_per_s = summary.samples_per_s, .run = run.path};
  point.batch_per_rank = run.batch_per_rank;
  point.origin = run.origin;
  return point;
}

std::vector<const runlog::Run*> runs_that_count(const std::vector<runlog::Run>& runs) {
  const Counted counted = with_steps(runs);
  const auto by = superseding(counted.runs);
  std::vector<bool> left_out(runs.size());
  for (std::size_t i = 0; i < by.size(); ++i) left_out[counted.places[i]] = by[i].has_value();
  std::vector<const runlog::Run*> kept;
  for (std::size_t i = 0; i < runs.size(); ++i)
    if (!left_out[i]) kept.push_back(&runs[i]);
  return kept;
}

ScalingCurve curve_of_runs(const std::vector<runlog::Run>& runs) {
  ScalingCurve curve;
  if (runs.empty()) user_error("no run logs: name at least one run.h5");
  curve.name = runs.front().info.model_name.empty() ? "runs" : runs.front().info.model_name;
  curve.source =
      fmt::format("{} run logs, {} on {}", runs.size(), runs.front().info.dtype, runs.front().info.device_name);
  const RunFacts first = facts_of(runs.front());
  std::vector<std::string> names;
  std::vector<runlog::Summary> summaries;
  for (const auto& run : runs) {
    check_same(runs.front(), first, run, facts_of(run));
    names.push_back(run.path);
    summaries.push_back(runlog::summarize(run));
    const auto& summary = summaries.back();
    if (summary.steps == 0)
      curve.notes.push_back(
          fmt::format("{} has {} steps, none of them steady, and was left out", run.path, run.steps.size()));
  }
  const Counted counted = with_steps(runs);
  const auto by = superseding(counted.runs);
  for (std::size_t i = 0; i < by.size(); ++i)
    if (!by[i]) curve.points.push_back(point_of(counted.summaries[i], counted.runs[i]));
  std::vector<runlog::Origin> origins;
  for (const auto& run : runs) origins.push_back(run.info.origin);
  if (auto note = origins_note(names, origins); !note.empty()) curve.notes.push_back(std::move(note));
  if (auto note = superseded_note(counted.runs); !note.empty()) curve.notes.push_back(std::move(note));
  for (auto& note : reading_notes(names, summaries)) curve.notes.push_back(std::move(note));
  if (curve.points.empty())
    user_error("{}: {} steps, none of them steady: train for longer", runs.front().path, runs.front().steps.size());
  sort(curve);
  check(curve);
  return curve;
}

}  // namespace gpumonth::scaling
