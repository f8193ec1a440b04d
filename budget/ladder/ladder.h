// The ladder: from the published estimate to a budget, one replaced assumption per rung. Each rung starts
// from the one before it and changes one thing. A new rung is a new function in a file like rung_goodput.cpp, a name in
// RungId, and a line in ladder.cpp's list; what it computes is a quantity (formulas/quantities.h).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "budget/formulas/inputs.h"
#include "budget/formulas/measured_layers.h"
#include "budget/formulas/quantities.h"
#include "budget/inputs/efficiency.h"
#include "budget/inputs/number.h"
#include "budget/inputs/scenario.h"
#include "budget/plan/training_plan.h"

namespace gpumonth::budget {

/// In the order in which the ladder climbs them.
enum class RungId { as_published, flops_counted, attention_counted, data, measured_mfu, scaling, goodput };

const char* name(RungId id);  ///< "as-published": in text and JSON

struct Rung {
  RungId id = RungId::as_published;
  std::string replaces = {};             ///< the assumption that goes; empty on the first rung
  std::string replacement = {};          ///< what stands in its place, with its numbers
  std::vector<std::string> inputs = {};  ///< what the replacement brings in: scenario keys, runs
  Number compute = {};                   ///< FLOP (or what is taken for it) of the whole training
  Number utilisation = {};               ///< share of the peak that is reached
  Number gpu_months = {};
  Spread draws = {};  ///< of its GPU-months over the draws that all rungs share, up to this rung
  /// Where the rung has no ends but is a Monte Carlo alone: low and high of its numbers are the 5 % and 95 % quantiles,
  /// and so are those of `factor`, the ratio to the rung before, draw by draw.
  Number factor = {};
  bool is_drawn() const { return factor.known(); }
  /// Against the rung before: draw by draw, or end by end. An end is not finite where that rung's is 0.
  Number factor_over(const Rung& before) const;
};

struct LadderContext {
  const Scenario& scenario;
  const std::vector<Efficiency>& runs;
  std::vector<std::string>& notes;         ///< what is left out, and why
  const Inputs<Number>& ends;              ///< with the utilisation that is reached
  const Inputs<Column>& draws;             ///< the training plan's, where there is one
  const TrainingPlan* training = nullptr;  ///< the training on N GPUs; nullptr: N is not given, or no utilisation
  const MeasuredLayers* layers = nullptr;  ///< where the utilisation is of layers as measured; else nullptr
};

/// What a formula of a rung gives.
template <class V>
struct Training {
  V compute, utilisation;
};

/// Fills in the numbers of a rung from one formula for both kinds of values: (const Inputs<V>&) -> Training<V>.
template <class Formula>
void set_numbers(Rung& rung, const LadderContext& context, const Formula& formula) {
  const Training<Number> ends = formula(context.ends);
  rung.compute = ends.compute;
  rung.utilisation = ends.utilisation;
  rung.gpu_months = gpu_months(context.ends, ends.compute, ends.utilisation);
  const Training<Column> drawn = formula(context.draws);
  rung.draws = spread_of(gpu_months(context.draws, drawn.compute, drawn.utilisation));
}

/// The next rung, from `before` (nullptr where no rung stands yet); nothing, and a note, where inputs are missing.
using RungFunction = std::optional<Rung> (*)(const LadderContext&, const Rung* before);

std::optional<Rung> as_published(const LadderContext& context, const Rung* before);
std::optional<Rung> flops_counted(const LadderContext& context, const Rung* before);
std::optional<Rung> attention_counted(const LadderContext& context, const Rung* before);
std::optional<Rung> data(const LadderContext& context, const Rung* before);
std::optional<Rung> measured_mfu(const LadderContext& context, const Rung* before);
std::optional<Rung> scaling(const LadderContext& context, const Rung* before);
std::optional<Rung> goodput(const LadderContext& context, const Rung* before);

std::vector<Rung> climb(const LadderContext& context);

/// The rung of this name; nullptr where it was left out.
const Rung* find(const std::vector<Rung>& rungs, RungId id);

}  // namespace gpumonth::budget
