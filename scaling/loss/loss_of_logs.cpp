// Run logs as points of loss against compute.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "scaling/bootstrap.h"
#include "scaling/loss/loss_runs.h"

namespace gpumonth::scaling {
namespace {

/// Steps that count: where a run was killed and went on from an older checkpoint, its second log has them again.
std::vector<const runlog::StepRecord*> steps_of_run(std::span<const runlog::Run> logs) {
  std::vector<const runlog::StepRecord*> steps;
  for (const auto& log : logs) {
    if (log.steps.empty()) continue;
    const std::int64_t first = log.steps.front().step;
    while (!steps.empty() && steps.back()->step >= first) steps.pop_back();
    const std::int64_t expected = steps.empty() ? 1 : steps.back()->step + 1;
    if (first != expected)
      user_error(
          "{}: begins with step {}{}, and no log has the steps before it: name the run's first log as well (run.h5), or "
          "evaluate its checkpoint with gpumonth evaluate",
          log.path, first, log.info.resumed_from.empty() ? "" : fmt::format(", from {}", log.info.resumed_from));
    for (const auto& step : log.steps) steps.push_back(&step);
  }
  return steps;
}

void check_is_of_training(const runlog::Run& log) {
  if (log.info.origin == runlog::Origin::measured) return;
  user_error("{}: was {} and has no losses of its own: give {}", log.path, name(log.info.origin),
             log.info.source_run.empty() ? "logs of gpumonth train" : log.info.source_run);
}

}  // namespace

LossRun loss_of_logs(std::span<const runlog::Run> logs) {
  for (const auto& log : logs) check_is_of_training(log);
  const auto steps = steps_of_run(logs);
  const auto& info = logs.front().info;
  const auto last =
      std::max(kFewestLastSteps, static_cast<std::size_t>(std::lround(kLastShare * static_cast<double>(steps.size()))));
  if (steps.size() < 2 * kFewestLastSteps)
    user_error("{}: has {} steps, fewer than the {} that a loss at the end needs: train for longer", logs.front().path,
               steps.size(), 2 * kFewestLastSteps);
  LossRun run{.name = logs.front().path, .parameters = static_cast<double>(info.parameters)};
  std::vector<double> losses, samples;
  double sum = 0, weight = 0;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const auto& step = *steps[i];
    run.samples += static_cast<double>(step.samples);
    run.tokens += static_cast<double>(step.tokens);
    run.model_flops += step.model_flops;
    if (i + last < steps.size()) continue;
    if (!(step.loss > 0) || !std::isfinite(step.loss))
      user_error("{}: the loss of step {} is {}, and a law of losses needs them above 0: leave this run out",
                 logs.front().path, step.step, step.loss);
    const auto count = static_cast<double>(step.samples);
    losses.push_back(step.loss * count);
    samples.push_back(count);
    sum += losses.back();
    weight += count;
  }
  run.loss = sum / weight;
  run.standard_error = run.loss * ratio_log_error(losses, samples);
  if (!(run.parameters > 0 && run.tokens > 0 && run.model_flops > 0))
    user_error("{}: does not say its parameters, tokens or model FLOP: it cannot stand on a law of compute",
               logs.front().path);
  return run;
}

}  // namespace gpumonth::scaling
