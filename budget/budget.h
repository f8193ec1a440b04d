// A whole budget: the ladder and everything beside it, from a scenario and run logs. Printed by print/, and
// as a page by report/report.h.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "budget/formulas/measured_layers.h"
#include "budget/inputs/efficiency.h"
#include "budget/inputs/monte_carlo.h"
#include "budget/inputs/sampled_run.h"
#include "budget/inputs/scenario.h"
#include "budget/ladder/ladder.h"
#include "budget/plan/scaling_basis.h"
#include "budget/plan/sweep.h"
#include "budget/results/data_rules.h"
#include "budget/results/lines.h"
#include "scaling/fit/fit.h"

namespace gpumonth::budget {

/// What an input does to the result of the last rung.
struct InputShare {
  VarianceShare share;
  Tag tag = Tag::assumed;
};

struct BudgetOptions {
  std::vector<std::int64_t> gpus = {};  ///< one: instead of cost.gpus; several: a row of the sweep each
  std::shared_ptr<const scaling::StepModel> components =
      nullptr;                           ///< components_of(runs), for the fit of their scaling
  std::vector<SampledRun> sampled = {};  ///< logs of sampling: what inference reaches
  std::vector<std::string> notes = {};   ///< of the caller, before the budget's own
};

struct Budget {
  Scenario scenario;
  std::vector<Efficiency> runs;
  std::vector<SampledRun> sampled;  ///< of sampling, not of training
  std::vector<Rung> rungs;
  std::vector<Group> groups;             ///< training, inference, outputs, demand, cost; empty ones are left out
  std::vector<std::string> notes;        ///< what is unknown or left out, and why
  std::map<std::string, Input> fitted;   ///< inputs that are neither in the scenario nor runs: the scaling curve
  std::optional<MeasuredLayers> layers;  ///< where the run logs have two lengths of the scenario's blocks
  std::optional<ScalingBasis> basis;     ///< where the efficiency on many GPUs comes from; nothing: it is not known
  std::optional<DataRules> data;         ///< the same by both rules of the data; nothing: one of them is not known
  std::vector<SweepRow> sweep;
  std::vector<InputShare> months_shares, usd_shares;  ///< of GPU-months and money, the most important first
};

/// Throws UserError where the plan on these GPUs does not fit (budget/plan/training_plan.h). Runs without an MFU are
/// named in the notes.
Budget make_budget(Scenario scenario, const std::vector<Efficiency>& runs, const BudgetOptions& options = {});

/// Tag and source of an input as rungs and lines name it: a scenario key, "run <path>", or "carried over".
struct InputDescription {
  Tag tag;
  std::string source;
  Number number;
};
InputDescription describe_input(const Budget& budget, const std::string& input);

/// "15.3 M .. 38.2 M minutes", "5.04 min per H100-hour".
std::string value_with_unit(const Budget& budget, const Number& number);

/// The whole budget for a terminal of 100 columns, and as JSON (docs/method.md, "JSON").
std::string to_text(const Budget& budget);
std::string to_json_text(const Budget& budget);

}  // namespace gpumonth::budget
