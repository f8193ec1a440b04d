#include "budget/plan/training_plan.h"

#include <cmath>

#include "base/error.h"
#include "base/format.h"
#include "model/sequence_ranks.h"

namespace gpumonth::budget {
namespace {

constexpr double kGigabyte = 1e9;
constexpr double kLeastProgress = 1e-6;  // share of the time that goes forward; less is no training
constexpr double kMostLost = 0.01;       // of the draws, without it: the far end of a range of failure rates

void add_once(std::vector<std::string>& notes, const std::string& note) {
  for (const auto& known : notes)
    if (known == note) return;
  notes.push_back(note);
}

/// The --set options that lead from one plan to the other.
std::string changes(const MemoryPlan& from, const MemoryPlan& to) {
  std::string text;
  if (to.sharding != from.sharding) text += " --set plan.sharding=" + to.sharding;
  if (to.recompute != from.recompute) text += " --set plan.recompute=" + to.recompute;
  if (to.batch_per_replica != from.batch_per_replica)
    text += fmt::format(" --set plan.batch_per_replica={}", to.batch_per_replica);
  if (to.replica_gpus != from.replica_gpus) text += fmt::format(" --set plan.replica_gpus={}", to.replica_gpus);
  return text;
}

void check_replicas(const Scenario& s, std::int64_t gpus) {
  const int replica = s.plan.replica_gpus;
  if (gpus % replica == 0) return;
  const std::int64_t below = gpus / replica * replica, above = below + replica;
  user_error("{}: {} GPUs are no multiple of plan.replica_gpus = {}: take {}", s.path, gpus, replica,
             below == 0 ? fmt::format("{}", above) : fmt::format("{} or {}", below, above));
}

std::optional<std::string> why_not_checked(const Scenario& s) {
  if (s.has("training.flop_per_sample"))
    return "memory: not checked, the scenario's model is not counted (training.flop_per_sample)";
  if (!std::isfinite(s.hardware.memory_gb))
    return "memory: not checked, hardware.memory_gb of the " + s.hardware.name + " is not given";
  return std::nullopt;
}

MemoryPlan checked_plan(const Scenario& s, std::int64_t gpus) {
  const double bytes = s.hardware.memory_gb * kGigabyte;
  const auto fitting = fitting_plan(s.model, s.plan, gpus, bytes);
  MemoryPlan asked = s.plan;
  if (asked.sharding == "auto") asked.sharding = "none";
  const bool fits = fitting && changes(asked, *fitting).empty();
  if (fits || (fitting && s.plan.sharding == "auto")) return *fitting;
  const MemoryNeed need = memory_need(s.model, asked, gpus);
  const std::string what = fmt::format(
      "{}: the plan ({}) needs {:.3g} GB on each of {} GPUs, {:.3g} of it activations; "
      "the {} has room for {:.3g} GB of its {:g}",
      s.path, describe(asked), need.total() / kGigabyte, gpus, need.activation_bytes / kGigabyte, s.hardware.name,
      s.hardware.memory_gb * (1 - asked.memory_reserve), s.hardware.memory_gb);
  if (!fitting) user_error("{}: no plan with up to 64 GPUs per replica fits: take GPUs with more memory", what);
  user_error("{}; the smallest that fits:{}", what, changes(asked, *fitting));
}

/// A cluster that fails faster than it restarts never ends: there is no cost.
void check_progress(const Scenario& s, const TrainingPlan& training) {
  const Outcome& out = training.outcome;
  const auto lost = static_cast<double>((out.goodput <= kLeastProgress).count());
  if (lost > kMostLost * static_cast<double>(out.goodput.size()))
    user_error(
        "{}: on {} GPUs with a failure every {} s on average and {} s to restart and checkpoint, next to no "
        "step is "
        "made: lower goodput.failure_rate, restart, checkpoint or cost.gpus",
        s.path, training.gpus, compact(out.mtbf_s.minCoeff()),
        compact(s.at("goodput.restart").high + s.at("goodput.checkpoint").high));
  if (!out.months.isFinite().all())
    user_error("{}: on {} GPUs the GPU-months are beyond any number: look for a key with a wrong unit", s.path,
               training.gpus);
}

}  // namespace

TrainingPlan make_training_plan(const Scenario& s, const Number& utilisation, const ScalingBasis* basis,
                                std::int64_t gpus, std::vector<std::string>& notes) {
  check_replicas(s, gpus);
  MemoryPlan plan = s.plan;
  std::optional<MemoryNeed> memory;
  std::vector<model::SentPart> sent;
  if (const auto why = why_not_checked(s)) {
    add_once(notes, *why);
    if (plan.sharding == "auto") plan.sharding = "none";
  } else {
    plan = checked_plan(s, gpus);
    memory = memory_need(s.model, plan, gpus);
    sent = sent_parts(s.model, plan, gpus);
    if (const auto obstacle = model::why_not_shared(s.model, plan.replica_gpus))
      add_once(notes, fmt::format("memory: counted as if plan.replica_gpus = {} could share samples as gpumonth train "
                                  "does, but {}",
                                  plan.replica_gpus, *obstacle));
  }
  const Number& at_reference = basis != nullptr && basis->utilisation.known() ? basis->utilisation : utilisation;
  TrainingPlan training{gpus, plan, memory, sent, basis, at_reference, Simulation(s, plan, at_reference, basis, gpus),
                        {},   {}};
  training.sample = drawn_sample(training.simulation.inputs());
  training.outcome = training.simulation.evaluate(training.sample);
  check_progress(s, training);
  return training;
}

Number drawn(const Column& column, const Number& from, const std::string& unit, const std::string& formula) {
  Number number = from.as(unit, formula);
  number.low = quantile_of(column, 0.05);
  number.high = quantile_of(column, 0.95);
  return number;
}

}  // namespace gpumonth::budget
