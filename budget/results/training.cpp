#include "budget/formulas/quantities.h"
#include "budget/results/lines.h"

namespace gpumonth::budget {

Group training_group(const Scenario& s, std::vector<std::string>& notes) {
  Group group{.id = "training",
              .title = s.has("training.base_operations") ? "The base model, as published" : "Training",
              .lines = {}};
  const Inputs<Number> in(s);
  if (s.has("training.base_operations")) {
    const Number months = gpu_months(in, s.at("training.base_operations"), exactly(1));
    group.lines.push_back({"base_gpu_months", "training compute, at 100 % of the peak", months});
    group.lines.push_back({"base_gpu_days", "the same in GPU-days",
                           (months * s.at("time.days_per_month")).as("GPU-day", "GPU-months x days per month")});
  } else {
    notes.push_back("training: no base model, training.base_operations is not given");
  }
  if (s.has_all({"training.base_batch", "training.base_steps"})) {
    const Number samples = (s.at("training.base_batch") * s.at("training.base_steps")).as("sample", "batch x steps");
    group.lines.push_back({"base_samples", "samples seen by the base model", samples});
    if (s.has("training.base_forward"))
      group.lines.push_back(
          {"base_operations_check", "check: 3 x forward x samples, in multiply-adds",
           (exactly(3) * s.at("training.base_forward") * samples).as("MAC", "3 x forward x samples")});
  }
  if (s.has_all({"training.parameters", "training.base_parameters"}))
    group.lines.push_back({"model_factor_check", "check: parameters against the base model's",
                           (s.at("training.parameters") / s.at("training.base_parameters")).as("1", "ratio")});
  if (has_samples(s))
    group.lines.push_back({"samples_seen", "samples seen by the model that is estimated", samples_seen(in)});
  if (s.has_law()) {
    group.lines.push_back({"law_tokens", "tokens by scaling laws and over-training", law_tokens(in)});
    group.lines.push_back({"law_samples", "  in samples of the curriculum", law_samples(in)});
    group.lines.push_back(
        {"law_flops_per_token", "  FLOP to train on one, mean over its stages", law_flops_per_token(in)});
  }
  return group;
}

}  // namespace gpumonth::budget
