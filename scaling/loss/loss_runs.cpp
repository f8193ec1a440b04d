#include "scaling/loss/loss_runs.h"

#include <cmath>

#include "base/error.h"
#include "runlog/reader.h"
#include "scaling/compare/run_files.h"
#include "scaling/run_logs.h"

namespace gpumonth::scaling {
namespace {

LossRuns loss_runs_of_logs(const std::vector<std::string>& files) {
  LossRuns all;
  KnownLogs known;
  for (const auto& group : group_resumed({files.begin(), files.end()})) {
    std::vector<runlog::Run> logs;
    for (const auto& file : group) {
      if (!known.is_new(file)) continue;
      auto log = runlog::read(file);
      if (known.is_new(log)) logs.push_back(std::move(log));
    }
    if (!logs.empty()) all.runs.push_back(loss_of_logs(logs));
  }
  if (auto note = known.note(); !note.empty()) all.notes.push_back(std::move(note));
  return all;
}

/// A longer clip or a larger picture is another task, with losses of its own.
void check_one_task(const std::vector<LossRun>& runs) {
  const auto length = [](const LossRun& run) { return run.tokens / run.samples; };
  for (const auto& run : runs)
    if (std::abs(length(run) / length(runs.front()) - 1) > 1e-6)
      user_error(
          "{} has {:g} tokens in a sample and {} has {:g}: their losses belong to different tasks, fit them apart",
          runs.front().name, length(runs.front()), run.name, length(run));
}

}  // namespace

const char* name(LossKind kind) { return kind == LossKind::training ? "training" : "validation"; }

LossRuns read_loss_runs(const std::vector<std::string>& files) {
  std::vector<std::string> qualities, logs;
  for (const auto& file : files) (file.ends_with(".json") ? qualities : logs).push_back(file);
  if (files.empty()) user_error("fit --loss: name run logs, or the quality.json of gpumonth evaluate");
  if (!qualities.empty() && !logs.empty())
    user_error("{} has validation losses and {} training losses, of which no law can hold both: give one kind",
               qualities.front(), logs.front());
  LossRuns all;
  if (qualities.empty()) {
    all = loss_runs_of_logs(logs);
  } else {
    all.kind = LossKind::validation;
    for (const auto& file : qualities)
      for (auto& run : loss_of_quality(file)) all.runs.push_back(std::move(run));
  }
  check_one_task(all.runs);
  return all;
}

}  // namespace gpumonth::scaling
