// FLOP per output. A language model spends 2 FLOP per active parameter and token; the published image and
// clip count multiply-adds once, the counted ones twice, like the language models.
#include <fmt/format.h>

#include "base/format.h"
#include "budget/formulas/quantities.h"
#include "budget/results/lines.h"

namespace gpumonth::budget {
namespace {

void add_language_model(const Scenario& s, const ListEntry& model, Group& group, std::vector<std::string>& notes) {
  if (!s.has(model.input("tokens")) || !s.has(model.input("parameters"))) {
    notes.push_back(fmt::format("outputs: {} is left out, its tokens or parameters are not given", model.name));
    return;
  }
  const Number parameters = s.at(model.input("parameters")), tokens = s.at(model.input("tokens"));
  group.lines.push_back({model.id, fmt::format("{}, {} tokens", model.name, range_text(tokens, grouped)),
                         (exactly(2) * parameters * tokens).as("FLOP", "2 x active parameters x tokens")});
}

}  // namespace

Group outputs_group(const Scenario& s, std::vector<std::string>& notes) {
  Group group{.id = "outputs", .title = "FLOP per output", .lines = {}};
  if (image_inference(s).known()) group.lines.push_back({"image", s.image_name + ", as published", image_inference(s)});
  if (s.has_all({"training.base_forward", "inference.sampling_steps"}))
    group.lines.push_back({"image_counted", s.image_name + ", counted",
                           (exactly(2) * s.at("training.base_forward") * s.at("inference.sampling_steps"))
                               .as("FLOP", "2 x forward MACs x sampling steps")});
  for (const auto& model : s.outputs) add_language_model(s, model, group, notes);
  if (clip_inference(s).known()) group.lines.push_back({"clip", s.clip_name + ", as published", clip_inference(s)});
  if (s.has_all({"video.clip_length", "inference.sampling_steps"}))
    group.lines.push_back({"clip_counted", s.clip_name + ", counted",
                           (exactly(2) * clip_forward_macs(Inputs<Number>(s)) * s.at("inference.sampling_steps"))
                               .as("FLOP", "2 x forward MACs x sampling steps")});
  if (group.lines.empty()) notes.push_back("outputs: the scenario gives no inference and no language models");
  return group;
}

}  // namespace gpumonth::budget
