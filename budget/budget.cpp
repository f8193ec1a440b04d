#include "budget/budget.h"

#include <fmt/format.h>

#include <stdexcept>

namespace gpumonth::budget {
namespace {

Number mfu_of(const Efficiency& run) {
  Number mfu;
  mfu.low = run.mfu_low;
  mfu.high = run.mfu_high;
  return mfu.as("1");
}

}  // namespace

Budget make_budget(Scenario scenario, const std::vector<Efficiency>& runs) {
  Budget budget;
  budget.scenario = std::move(scenario);
  budget.runs = runs;
  const Scenario& s = budget.scenario;
  for (const auto& run : runs)
    if (run.has_mfu() && run.mfu > 1)
      budget.notes.push_back(
          fmt::format("mfu of run {}: {:.0f} % of its peak is impossible: the peak is not this machine's",
                      run.path, 100 * run.mfu));
    else if (!run.has_mfu())
      budget.notes.push_back(fmt::format("mfu of run {}: {}", run.path, run.why_unknown));
  budget.rungs = climb({s, budget.runs, budget.notes});
  for (auto& group : {training_group(s, budget.notes), inference_group(s, budget.rungs, budget.notes),
                      outputs_group(s, budget.notes), demand_group(s, budget.notes),
                      cost_group(s, budget.rungs, budget.notes)})
    if (!group.lines.empty()) budget.groups.push_back(group);
  return budget;
}

InputDescription describe_input(const Budget& budget, const std::string& input) {
  const auto found = budget.scenario.inputs.find(input);
  if (found != budget.scenario.inputs.end())
    return {found->second.number.tag, found->second.source, found->second.number};
  if (input == kCarriedOver)
    return {Tag::assumed,
            fmt::format("the same share of the peak is reached on the {} as on the measured machine",
                        budget.scenario.hardware.name),
            exactly(1)};
  for (const auto& run : budget.runs)
    if (input == "run " + run.path)
      return {Tag::measured,
              fmt::format("{} steady steps of {} on {} x {}; peak: {}", run.steps, run.model_name, run.ranks,
                          run.device_name, run.peak_source),
              mfu_of(run)};
  throw std::logic_error("an input that nobody knows: " + input);
}

}  // namespace gpumonth::budget
