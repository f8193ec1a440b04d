#include <fmt/format.h>

#include "budget/formulas/costs.h"
#include "budget/results/lines.h"

namespace gpumonth::budget {
namespace {

/// The drawn number where the last rung was drawn, with the provenance of the ends; else the ends.
Number drawn_or(const Number& ends, const Outcome* outcome, const Column Outcome::*column) {
  return outcome != nullptr ? drawn(outcome->*column, ends, ends.unit, ends.formula) : ends;
}

}  // namespace

Group cost_group(const Scenario& s, const std::vector<Rung>& rungs, const TrainingPlan* training,
                 std::vector<std::string>& notes) {
  Group group{.id = "cost", .title = "Days, money, energy", .lines = {}};
  if (rungs.empty()) {
    notes.push_back("cost: no rung of the ladder could be computed");
    return group;
  }
  const Rung& last = rungs.back();
  const Inputs<Number> in(s);
  const Number& months = last.gpu_months;
  const Outcome* outcome = training != nullptr && last.is_drawn() ? &training->outcome : nullptr;
  group.title += fmt::format(" (rung {})", name(last.id));
  group.lines.push_back({"gpu_hours", "GPU-hours", gpu_hours(in, months)});
  if (s.has("cost.gpus")) {
    const bool scaled = training != nullptr && training->basis != nullptr;
    group.lines.push_back({"gpus", "GPUs at the same time", s.at("cost.gpus").as("GPU", "input")});
    group.lines.push_back({"days", scaled ? "days on them" : "days on them, at perfect scaling",
                           drawn_or(days_on(in, months, s.at("cost.gpus")), outcome, &Outcome::days)});
  } else {
    notes.push_back("cost: no days, cost.gpus is not given");
  }
  if (s.has("cost.price"))
    group.lines.push_back({"usd", "money", drawn_or(usd(in, months), outcome, &Outcome::usd)});
  else
    notes.push_back("cost: no money, cost.price is not given");
  const bool has_power = power_key(s) != nullptr;
  if (has_power)
    group.lines.push_back({"energy_mwh", "energy", drawn_or(board_energy(in, months), outcome, &Outcome::board_mwh)});
  else
    notes.push_back("cost: no energy, cost.power and the device's power are not known");
  if (has_power && s.has("cost.pue"))
    group.lines.push_back({"building_energy_mwh", "energy, with the building's cooling (PUE)",
                           drawn_or(building_energy(in, months), outcome, &Outcome::building_mwh)});
  return group;
}

}  // namespace gpumonth::budget
