#include "budget/lines.h"

namespace gpumonth::budget {

Group cost_group(const Scenario& s, const std::vector<Rung>& rungs, std::vector<std::string>& notes) {
  Group group{.id = "cost", .title = "Days, money, energy", .lines = {}};
  if (rungs.empty()) {
    notes.push_back("cost: no rung of the ladder could be computed");
    return group;
  }
  group.title += " (rung " + rungs.back().id + ")";
  const Number gpu_days = rungs.back().gpu_months * s.at("time.days_per_month");
  const Number gpu_hours = (gpu_days * exactly(24)).as("GPU-hour", "GPU-months x days per month x 24");
  group.lines.push_back({"gpu_hours", "GPU-hours", gpu_hours});
  const Number power = s.has("cost.power")         ? s.at("cost.power")
                       : s.has("hardware.power_w") ? s.at("hardware.power_w")
                                                   : Number{};
  if (s.has("cost.gpus")) {
    group.lines.push_back({"gpus", "GPUs at the same time", s.at("cost.gpus").as("GPU", "input")});
    group.lines.push_back({"days", "days on them, at perfect scaling",
                           (gpu_days / s.at("cost.gpus")).as("day", "GPU-days / GPUs")});
  } else {
    notes.push_back("cost: no days, cost.gpus is not given");
  }
  if (s.has("cost.price"))
    group.lines.push_back({"usd", "money", (gpu_hours * s.at("cost.price")).as("USD", "GPU-hours x price")});
  else
    notes.push_back("cost: no money, cost.price is not given");
  if (power.known())
    group.lines.push_back(
        {"energy_mwh", "energy", (gpu_hours * power / exactly(1e6)).as("MWh", "GPU-hours x power")});
  else
    notes.push_back("cost: no energy, cost.power and the device's power are not known");
  return group;
}

}  // namespace gpumonth::budget
