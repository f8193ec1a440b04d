#include "budget/budget.h"

#include <fmt/format.h>

#include <cmath>
#include <stdexcept>
#include <string_view>

#include "base/error.h"
#include "budget/formulas/published_utilisation.h"
#include "budget/formulas/quantities.h"
#include "budget/plan/training_plan.h"
#include "budget/plan/transfer.h"

namespace gpumonth::budget {
namespace {

constexpr Eigen::Index kShareDraws = 8192;  // shares come out within about 0.01
constexpr double kLeastShare = 5e-4;        // less is the estimator's noise

Number mfu_of(const Efficiency& run) {
  Number mfu;
  mfu.low = run.has_interval() ? run.mfu_low : run.mfu;
  mfu.high = run.has_interval() ? run.mfu_high : run.mfu;
  return mfu.as("1");
}

/// One --gpus replaces the scenario's number; of several the first stands in where the scenario has none.
void choose_gpus(Budget& budget, const BudgetOptions& options) {
  for (const auto gpus : options.gpus)
    if (gpus < 1) user_error("--gpus {}: the number of GPUs must be at least 1", gpus);
  if (options.gpus.empty() || (options.gpus.size() > 1 && budget.scenario.has("cost.gpus"))) return;
  Number gpus = exactly(static_cast<double>(options.gpus.front()), "GPU");
  gpus.tag = Tag::assumed;
  gpus.inputs = {"cost.gpus"};
  budget.scenario.inputs["cost.gpus"] = {gpus, fmt::format("--gpus {}", options.gpus.front()), {}};
}

/// The FLOP per sample cancel between compute and utilisation; a range of them would count twice.
void check_benchmark(const Scenario& s) {
  if (!s.has("utilisation.gpu_seconds")) return;
  if (!s.has("training.flop_per_sample") || s.at("training.flop_per_sample").is_range())
    user_error("{}: utilisation.gpu_seconds needs training.flop_per_sample as one value: it cancels", s.path);
}

/// Nothing where the scenario gives none, or a range.
std::optional<std::int64_t> planned_gpus(const Scenario& s) {
  if (!s.has("cost.gpus") || s.at("cost.gpus").is_range()) return std::nullopt;
  return std::llround(s.at("cost.gpus").low);
}

/// The published one is bounded by what kernels allow, where nothing better is given.
Number choose_utilisation(Budget& budget) {
  budget.layers = measured_layers(budget.scenario, budget.runs, budget.notes);
  if (budget.layers) return budget.layers->utilisation;
  if (!pooled_mfu(budget.runs).known() && !budget.scenario.has("utilisation.gpu_seconds"))
    bound_by_kernels(budget.scenario, budget.notes);
  return reached_utilisation(budget.scenario, budget.runs);
}

/// Layers hold on one GPU's work, communication apart, with what the scenario's plan computes again.
void hold_layers(const Budget& budget, ScalingBasis& basis) {
  if (!budget.layers) return;
  basis.utilisation = budget.layers->utilisation;
  basis.recompute = plan_overhead(budget.scenario, budget.scenario.plan);
  if (!basis.is_of_runs) basis.reference = budget.layers->fit.logs.front().ranks;
}

/// Only the rung `scaling` corrects a measured utilisation for what the plan computes again.
void note_recompute(Budget& budget) {
  const Scenario& s = budget.scenario;
  if (budget.basis || budget.layers || !pooled_mfu(budget.runs).known() || !(plan_overhead(s, s.plan) > 1)) return;
  budget.notes.push_back(fmt::format(
      "recompute: the plan computes {} again, x {:.3g} the FLOPs, and nothing says what that costs beside the "
      "runs' MFU: name a curve (scaling.curve) or give runs on two or more rank counts",
      keeps_attention(s.plan) ? "its linear layers" : "its blocks", plan_overhead(s, s.plan)));
}

void add_fitted_inputs(Budget& budget, const ScalingBasis& basis) {
  Number fitted = exactly(1);
  fitted.tag = basis.tag;
  budget.fitted[basis.input] = {fitted, basis.source, {}};
  if (basis.carried.empty()) return;
  fitted.tag = Tag::assumed;
  budget.fitted[kScalingCarriedOver] = {fitted, basis.carried, {}};
  if (!draws_transfer(budget.scenario, &basis)) return;
  fitted.low = kTransferLow;
  fitted.high = kTransferHigh;
  budget.fitted[kTransferInput] = {fitted,
                                   has_transfer_rule(budget.scenario, &basis)
                                       ? "half to twice what parameters per FLOP of a GPU's step are here over there"
                                       : "half to twice the time that the runs lost: nobody knows this machine's links",
                                   {}};
}

std::vector<InputShare> shares_of(const Scenario& s, const TrainingPlan& training, const Column Outcome::*result) {
  const auto model = [&](const Sample& sample) { return Column(training.simulation.evaluate(sample).*result); };
  std::vector<InputShare> shares;
  for (auto& share : variance_shares(training.simulation.inputs(), model, kShareDraws, kMonteCarloSeed)) {
    if (!(share.total > kLeastShare)) continue;
    Tag tag = share.input == kUtilisationInput ? training.utilisation.tag : Tag::fitted;
    if (share.input == kEfficiencyInput && training.basis != nullptr) tag = training.basis->tag;
    if (share.input == kEfficiencyInput && !training.basis->carried.empty()) tag = Tag::assumed;
    if (share.input == kTransferInput) tag = Tag::assumed;
    if (s.has(share.input)) tag = s.at(share.input).tag;
    shares.push_back({std::move(share), tag});
  }
  return shares;
}

InputDescription describe_run(const Efficiency& run, const char* steps) {
  return {tag_of(run.origin),
          fmt::format("{} steady {} of {} on {} x {}; peak: {}{}", run.steps, steps, run.model_name, run.ranks,
                      run.device_name, run.peak_source,
                      run.source.empty() ? "" : fmt::format("; {} from {}", name(run.origin), run.source)),
          mfu_of(run)};
}

void add_shares(Budget& budget, const TrainingPlan& training) {
  budget.months_shares = shares_of(budget.scenario, training, &Outcome::months);
  if (training.outcome.usd.size() > 0) budget.usd_shares = shares_of(budget.scenario, training, &Outcome::usd);
}

}  // namespace

Budget make_budget(Scenario scenario, const std::vector<Efficiency>& runs, const BudgetOptions& options) {
  Budget budget;
  budget.scenario = std::move(scenario);
  budget.runs = runs;
  budget.sampled = options.sampled;
  budget.notes = options.notes;
  const Scenario& s = budget.scenario;
  check_models(runs);
  for (auto& note : reading_notes(runs)) budget.notes.push_back(std::move(note));
  choose_gpus(budget, options);
  check_benchmark(s);
  const auto gpus = planned_gpus(s);
  std::optional<ScalingBasis>& basis = budget.basis;
  std::optional<TrainingPlan> training;
  const Number utilisation = choose_utilisation(budget);
  if (gpus && has_compute(s)) {
    basis = scaling_basis(s, runs, *gpus, options.components, budget.notes);
    note_recompute(budget);
    if (basis) hold_layers(budget, *basis);
    if (basis) add_fitted_inputs(budget, *basis);
    training.emplace(make_training_plan(s, utilisation, basis ? &*basis : nullptr, *gpus, budget.notes));
    add_shares(budget, *training);
    if (options.gpus.size() > 1)
      budget.sweep = sweep(s, utilisation, basis ? &*basis : nullptr, options.gpus, budget.notes);
  }
  const TrainingPlan* on_gpus = training ? &*training : nullptr;
  const Sample sample = training ? training->sample : drawn_sample(uncertain_inputs(s, utilisation, nullptr, 1));
  budget.rungs = climb({s, budget.runs, budget.notes, Inputs<Number>(s, utilisation), Inputs<Column>(s, sample),
                        on_gpus, budget.layers ? &*budget.layers : nullptr});
  budget.data = data_rules(s, sample, on_gpus, budget.rungs);
  if (!gpus) budget.notes.push_back("scaling, goodput: left out, give the number of GPUs as cost.gpus or with --gpus");
  for (auto& group : {layers_group(budget.layers ? &*budget.layers : nullptr), plan_group(s, budget.rungs, on_gpus),
                      training_group(s, budget.notes),
                      inference_group(s, Inputs<Column>(s, sample), budget.rungs, budget.sampled, budget.notes),
                      outputs_group(s, budget.notes), demand_group(s, budget.notes),
                      cost_group(s, budget.rungs, on_gpus, budget.notes)})
    if (!group.lines.empty()) budget.groups.push_back(group);
  return budget;
}

InputDescription describe_input(const Budget& budget, const std::string& input) {
  const auto found = budget.scenario.inputs.find(input);
  if (found != budget.scenario.inputs.end())
    return {found->second.number.tag, found->second.source, found->second.number};
  const auto fitted = budget.fitted.find(input);
  if (fitted != budget.fitted.end()) return {fitted->second.number.tag, fitted->second.source, fitted->second.number};
  if (input == kCarriedOver)
    return {Tag::assumed,
            fmt::format("the same share of the peak is reached on the {} as on the measured machine",
                        budget.scenario.hardware.name),
            exactly(1)};
  constexpr std::string_view kRun = "run ";
  const bool is_run = input.starts_with(kRun);
  const auto path = std::string_view(input).substr(is_run ? kRun.size() : 0);
  for (const auto& run : budget.runs)
    if (is_run && path == run.path) return describe_run(run, "steps");
  for (const auto& run : budget.sampled)
    if (is_run && path == run.efficiency.path) return describe_run(run.efficiency, "denoising steps");
  throw std::logic_error("an input that nobody knows: " + input);
}

}  // namespace gpumonth::budget
