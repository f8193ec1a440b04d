#include "budget/plan/training_plan.h"
#include "budget/results/lines.h"

namespace gpumonth::budget {
namespace {

/// The numbers of the group, from the last rung's ends or, where that was drawn, from the draws.
class Costs {
 public:
  Costs(const Scenario& s, const Rung& last, const Cluster* cluster)
      : outcome_(cluster != nullptr && last.is_drawn() ? &cluster->outcome : nullptr),
        gpu_days_(last.gpu_months * s.at("time.days_per_month")) {}

  Number gpu_hours() const { return (gpu_days_ * exactly(24)).as("GPU-hour", "GPU-months x days per month x 24"); }
  Number days(const Number& gpus) const { return of(&Outcome::days, (gpu_days_ / gpus).as("day", "GPU-days / GPUs")); }
  Number usd(const Number& price) const {
    return of(&Outcome::usd, (gpu_hours() * price).as("USD", "GPU-hours x price"));
  }
  Number board_mwh(const Number& power) const {
    return of(&Outcome::board_mwh, (gpu_hours() * power / exactly(1e6)).as("MWh", "GPU-hours x power"));
  }
  Number building_mwh(const Number& power, const Number& pue) const {
    return of(&Outcome::building_mwh, (gpu_hours() * power * pue / exactly(1e6)).as("MWh", "GPU-hours x power x PUE"));
  }

 private:
  Number of(const Column Outcome::*column, const Number& ends) const {
    return outcome_ != nullptr ? drawn(outcome_->*column, ends, ends.unit, ends.formula) : ends;
  }
  const Outcome* outcome_;
  Number gpu_days_;
};

}  // namespace

Group cost_group(const Scenario& s, const std::vector<Rung>& rungs, const Cluster* cluster,
                 std::vector<std::string>& notes) {
  Group group{.id = "cost", .title = "Days, money, energy", .lines = {}};
  if (rungs.empty()) {
    notes.push_back("cost: no rung of the ladder could be computed");
    return group;
  }
  const Rung& last = rungs.back();
  const Costs costs(s, last, cluster);
  group.title += " (rung " + last.id + ")";
  group.lines.push_back({"gpu_hours", "GPU-hours", costs.gpu_hours()});
  const Number power = s.has("cost.power")         ? s.at("cost.power")
                       : s.has("hardware.power_w") ? s.at("hardware.power_w")
                                                   : Number{};
  if (s.has("cost.gpus")) {
    const bool scaled = cluster != nullptr && cluster->basis != nullptr;
    group.lines.push_back({"gpus", "GPUs at the same time", s.at("cost.gpus").as("GPU", "input")});
    group.lines.push_back(
        {"days", scaled ? "days on them" : "days on them, at perfect scaling", costs.days(s.at("cost.gpus"))});
  } else {
    notes.push_back("cost: no days, cost.gpus is not given");
  }
  if (s.has("cost.price"))
    group.lines.push_back({"usd", "money", costs.usd(s.at("cost.price"))});
  else
    notes.push_back("cost: no money, cost.price is not given");
  if (power.known())
    group.lines.push_back({"energy_mwh", "energy", costs.board_mwh(power)});
  else
    notes.push_back("cost: no energy, cost.power and the device's power are not known");
  if (power.known() && s.has("cost.pue"))
    group.lines.push_back({"building_energy_mwh", "energy, with the building's cooling (PUE)",
                           costs.building_mwh(power, s.at("cost.pue"))});
  return group;
}

}  // namespace gpumonth::budget
