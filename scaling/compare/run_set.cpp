#include "scaling/compare/run_set.h"

#include <algorithm>
#include <cmath>

#include "base/config.h"
#include "base/error.h"
#include "runlog/reader.h"
#include "scaling/bootstrap.h"
#include "scaling/compare/run_files.h"
#include "scaling/curve_csv.h"
#include "scaling/run_logs.h"

namespace gpumonth::scaling {
namespace {

void check_same(const std::string& path_a, const RunFacts& a, const std::string& path_b, const RunFacts& b) {
  if (const auto differs = difference(a, b))
    user_error("{} and {} do not belong in one set: {}", path_a, path_b, to_text(*differs));
}

void check_resumed(std::span<const runlog::Run> logs) {
  for (const auto& log : logs)
    if (log.info.world_size != logs.front().info.world_size || log.info.global_batch != logs.front().info.global_batch)
      user_error(
          "{}: has {} ranks and a batch of {}, but {} has {} and {}: a resumed run keeps both, move one of "
          "them",
          log.path, log.info.world_size, log.info.global_batch, logs.front().path, logs.front().info.world_size,
          logs.front().info.global_batch);
}

/// The logs of one run that are not known yet.
std::vector<runlog::Run> read_new(const std::vector<std::filesystem::path>& files, KnownLogs& known) {
  std::vector<runlog::Run> logs;
  for (const auto& file : files) {
    if (!known.is_new(file)) continue;
    auto log = runlog::read(file);
    if (known.is_new(log)) logs.push_back(std::move(log));
  }
  check_resumed(logs);
  return logs;
}

RunSet set_of_logs(const std::vector<std::filesystem::path>& files) {
  RunSet set;
  KnownLogs known;
  std::string first_path;  // of the log that set.facts are of
  std::vector<std::string> names;
  std::vector<runlog::Summary> summaries;
  for (const auto& group : group_resumed(files)) {
    const auto logs = read_new(group, known);
    for (const auto& log : logs) {
      const RunFacts facts = facts_of(log);
      if (set.facts) check_same(first_path, *set.facts, log.path, facts);
      if (set.facts && set.facts->transport == "self") set.facts->transport = facts.transport;  // one rank has none
      if (set.facts && set.facts->tokens_per_sample > 0) continue;
      set.facts = facts;
      first_path = log.path;
    }
    if (logs.empty()) continue;
    names.push_back(logs.front().path);
    summaries.push_back(runlog::summarize(logs));
    if (auto run = measure(logs, summaries.back()))
      set.runs.push_back(std::move(*run));
    else
      set.notes.push_back(fmt::format("{} has {} steady steps, fewer than {}, and was left out", names.back(),
                                      summaries.back().steps, kFewestSteps));
  }
  if (set.runs.empty())
    user_error("{}: {} steady steps, fewer than {}{}: train for longer", names.front(), summaries.front().steps,
               kFewestSteps, files.size() > 1 ? fmt::format(", nor has any other of the {} logs", files.size()) : "");
  for (auto& note : reading_notes(names, summaries)) set.notes.push_back(std::move(note));
  if (auto note = known.note(); !note.empty()) set.notes.push_back(std::move(note));
  return set;
}

ScalingCurve choose(std::vector<ScalingCurve> curves, const std::string& file, const std::string& wanted) {
  if (wanted.empty() && curves.size() == 1) return curves.front();
  if (wanted.empty())
    user_error("{}: has {} curves: choose one with --curve-a or --curve-b, e.g. {}", file, curves.size(),
               curves.front().name);
  std::vector<std::string> names;
  for (auto& curve : curves) {
    if (curve.name == wanted) return std::move(curve);
    names.push_back(curve.name);
  }
  const std::string near = config::nearest(wanted, names);
  user_error("{}: has no curve '{}'{}", file, wanted,
             near.empty() ? fmt::format("; the first is '{}'", names.front()) : " (did you mean '" + near + "'?)");
}

}  // namespace

bool RunSet::has_batch() const {
  return std::none_of(runs.begin(), runs.end(), [](const auto& run) { return std::isnan(run.batch_per_rank); });
}

std::optional<MeasuredRun> measure(std::span<const runlog::Run> logs, const runlog::Summary& summary) {
  if (summary.steps < static_cast<std::int64_t>(kFewestSteps)) return std::nullopt;
  std::vector<double> samples, times_s;
  MeasuredRun run;
  for (const auto& log : logs) {
    run.identity += identity_of(log) + "\n";
    for (const auto& step : log.steady()) {
      samples.push_back(static_cast<double>(step.samples));
      times_s.push_back(step.step_time_s);
    }
  }
  run.name = logs.front().path;
  run.ranks = logs.front().info.world_size;
  run.batch_per_rank = summary.batch() / static_cast<double>(run.ranks);
  run.samples_per_s = summary.samples_per_s;
  run.within = ratio_log_error(samples, times_s);
  run.steps = times_s.size();
  run.shares = step_shares(logs, summary);
  return run;
}

RunSet set_of_curve(const ScalingCurve& curve) {
  check(curve);
  RunSet set;
  set.name = curve.name;
  set.unit = curve.unit;
  set.notes = curve.notes;
  for (const auto& p : curve.points) {
    MeasuredRun& run = set.runs.emplace_back();
    run.name = p.run;
    run.ranks = p.ranks;
    run.batch_per_rank = p.batch_per_rank;
    run.samples_per_s = p.samples_per_s;
  }
  return set;
}

RunSet read_run_set(const std::string& argument, const std::string& curve) {
  const auto files = find_run_files(argument);
  const bool table =
      std::any_of(files.begin(), files.end(), [](const auto& file) { return file.extension() == ".csv"; });
  RunSet set;
  if (table) {
    if (files.size() > 1) user_error("{}: a table stands alone: give one CSV file, or run logs", argument);
    set = set_of_curve(choose(read_scaling_csv(files.front()), files.front().string(), curve));
  } else {
    if (!curve.empty()) user_error("{}: '{}' chooses a curve of a table, and this is none", argument, curve);
    set = set_of_logs(files);
  }
  set.name = curve.empty() ? argument : curve;
  return set;
}

}  // namespace gpumonth::scaling
