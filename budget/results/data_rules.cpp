#include "budget/results/data_rules.h"

#include <fmt/format.h>

#include "base/format.h"
#include "budget/formulas/quantities.h"

namespace gpumonth::budget {
namespace {

DataSide side_by(Scenario s, const char* rule, const Sample& sample, const TrainingPlan* training) {
  s.data.rule = rule;
  if (training != nullptr) {
    const Simulation simulation(s, training->plan, training->utilisation, training->basis, training->gpus);
    const Outcome out = simulation.evaluate(sample);
    return {rule, spread_of(out.compute_flop), spread_of(out.months)};
  }
  const Inputs<Column> in(s, sample);
  const Column flop = compute(in);
  return {rule, spread_of(flop), spread_of(gpu_months(in, flop, in.utilisation()))};
}

std::string why_they_differ(const Scenario& s, const DataSide& article, const DataSide& law) {
  const Number samples = samples_seen(Inputs<Number>(s));
  const Number years = years_of_video(s);
  const double ratio = article.gpu_months.median / law.gpu_months.median;
  return fmt::format(
      "They differ by a factor of {} because {} samples{} are what a small image model saw, scaled up, where the laws ask "
      "for {} tokens of a model of this size and published models went {} times as far.",
      three_digits(ratio > 1 ? ratio : 1 / ratio), range_text(samples, compact),
      years.known() ? fmt::format(", {} years of video,", range_text(years, grouped)) : "",
      range_text(s.at("data.optimal_tokens"), scientific), range_text(s.at("data.overtraining"), compact));
}

}  // namespace

std::optional<DataRules> data_rules(const Scenario& s, const Sample& sample, const TrainingPlan* training,
                                    const std::vector<Rung>& rungs) {
  if (!s.has_law() || !has_samples(s) || rungs.empty()) return std::nullopt;
  DataRules rules{s.data.rule, name(rungs.back().id), {}, {}};
  for (const char* rule : {"article", "law"}) rules.sides.push_back(side_by(s, rule, sample, training));
  rules.why = why_they_differ(s, rules.sides[0], rules.sides[1]);
  return rules;
}

}  // namespace gpumonth::budget
