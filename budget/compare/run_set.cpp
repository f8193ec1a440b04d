#include "budget/compare/run_set.h"

#include <algorithm>
#include <cmath>

#include "base/config.h"
#include "base/error.h"
#include "base/quantile.h"
#include "budget/compare/block_bootstrap.h"
#include "budget/compare/run_files.h"
#include "budget/scaling_csv.h"
#include "runlog/reader.h"

namespace gpumonth::budget {
namespace {

constexpr std::size_t kFewestSteps = 4;

RunFacts facts_of(const runlog::Run& log) {
  const auto& i = log.info;
  RunFacts facts{i.model_name,  i.dtype,      i.backend, i.transport,
                 i.device_name, i.parameters, 0,         i.threads_per_rank};
  if (!log.steps.empty() && log.steps.front().samples > 0)
    facts.tokens_per_sample = log.steps.front().tokens / log.steps.front().samples;
  return facts;
}

/// The transport is not among them: one rank has none.
void check_same(const runlog::Run& a, const runlog::Run& b) {
  const auto differ = [&](const char* what, const auto& x, const auto& y) {
    if (x != y)
      user_error("{} and {} do not belong in one set: {} is '{}' in one and '{}' in the other", a.path,
                 b.path, what, x, y);
  };
  const RunFacts x = facts_of(a), y = facts_of(b);
  differ("the model", x.model_name, y.model_name);
  differ("the number of parameters", x.parameters, y.parameters);
  if (x.tokens_per_sample > 0 && y.tokens_per_sample > 0)
    differ("the number of tokens in a sample", x.tokens_per_sample, y.tokens_per_sample);
  differ("the compute type", x.dtype, y.dtype);
  differ("the backend", x.backend, y.backend);
  differ("the device", x.device_name, y.device_name);
  differ("the number of threads per rank", x.threads_per_rank, y.threads_per_rank);
}

void check_resumed(std::span<const runlog::Run> logs) {
  for (const auto& log : logs)
    if (log.info.world_size != logs.front().info.world_size ||
        log.info.global_batch != logs.front().info.global_batch)
      user_error(
          "{}: has {} ranks and a batch of {}, but {} has {} and {}: a resumed run keeps both, move one of "
          "them",
          log.path, log.info.world_size, log.info.global_batch, logs.front().path,
          logs.front().info.world_size, logs.front().info.global_batch);
}

RunSet set_of_logs(const std::vector<std::filesystem::path>& files) {
  RunSet set;
  std::optional<runlog::Run> first;
  for (const auto& group : group_resumed(files)) {
    std::vector<runlog::Run> logs;
    for (const auto& file : group) {
      logs.push_back(runlog::read(file));
      if (!first) first = logs.back();
      check_same(*first, logs.back());
    }
    check_resumed(logs);
    if (!set.facts || set.facts->tokens_per_sample == 0 || set.facts->transport == "self")
      set.facts = facts_of(logs.front());
    if (auto run = measure(logs)) {
      set.runs.push_back(std::move(*run));
    } else {
      set.notes.push_back(
          fmt::format("{} has fewer than {} steady steps and was left out", logs.front().path, kFewestSteps));
    }
  }
  if (set.runs.empty())
    user_error("{}: {} steps, fewer than {} of them steady{}: train for longer", first->path,
               first->steps.size(), kFewestSteps,
               files.size() > 1 ? fmt::format(", nor has any other of the {} logs", files.size()) : "");
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
  user_error(
      "{}: has no curve '{}'{}", file, wanted,
      near.empty() ? fmt::format("; the first is '{}'", names.front()) : " (did you mean '" + near + "'?)");
}

}  // namespace

bool RunSet::has_batch() const {
  return std::none_of(runs.begin(), runs.end(),
                      [](const auto& run) { return std::isnan(run.batch_per_rank); });
}

std::optional<MeasuredRun> measure(std::span<const runlog::Run> logs) {
  std::vector<double> times_s;
  std::int64_t samples = 0;
  for (const auto& log : logs)
    for (const auto& step : log.steady()) {
      if (!(step.step_time_s > 0) || !std::isfinite(step.step_time_s) || step.samples < 1) continue;
      times_s.push_back(step.step_time_s);
      samples = step.samples;
    }
  if (times_s.size() < kFewestSteps) return std::nullopt;
  const double step_s = quantile(times_s, 0.5);
  MeasuredRun run;
  run.name = logs.front().path;
  run.ranks = logs.front().info.world_size;
  run.batch_per_rank = static_cast<double>(samples) / static_cast<double>(run.ranks);
  run.samples_per_s = static_cast<double>(samples) / step_s;
  run.within = median_log_error(times_s);
  run.steps = times_s.size();
  run.shares = step_shares(logs, step_s);
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

}  // namespace gpumonth::budget
