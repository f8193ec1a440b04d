// FLOP per output. A language model spends 2 FLOP per active parameter and token; the published image and
// clip count multiply-adds once, the counted ones twice, like the language models.
#include <fmt/format.h>

#include "base/format.h"
#include "budget/formulas/quantities.h"
#include "budget/results/lines.h"

namespace gpumonth::budget {
namespace {

void add_language_model(const Scenario& s, const char* id, const char* label, const char* parameters, Group& group) {
  if (!s.has("outputs.tokens") || !s.has(parameters)) return;
  group.lines.push_back(
      {id, fmt::format("{}, {} tokens", label, range_text(s.at("outputs.tokens"), grouped)),
       (exactly(2) * s.at(parameters) * s.at("outputs.tokens")).as("FLOP", "2 x active parameters x tokens")});
}

}  // namespace

Group outputs_group(const Scenario& s, std::vector<std::string>& notes) {
  Group group{.id = "outputs", .title = "FLOP per output", .lines = {}};
  if (image_inference(s).known()) group.lines.push_back({"image", s.image_name + ", as published", image_inference(s)});
  if (s.has_all({"training.base_forward", "inference.sampling_steps"}))
    group.lines.push_back({"image_counted", s.image_name + ", counted",
                           (exactly(2) * s.at("training.base_forward") * s.at("inference.sampling_steps"))
                               .as("FLOP", "2 x forward MACs x sampling steps")});
  add_language_model(s, "llama2_70b", "Llama-2 70B", "outputs.llama2_70b_parameters", group);
  add_language_model(s, "gpt4", "GPT-4", "outputs.gpt4_parameters", group);
  if (clip_inference(s).known()) group.lines.push_back({"clip", s.clip_name + ", as published", clip_inference(s)});
  if (s.has_all({"video.clip_length", "inference.sampling_steps"}))
    group.lines.push_back({"clip_counted", s.clip_name + ", counted",
                           (exactly(2) * clip_forward_macs(Inputs<Number>(s)) * s.at("inference.sampling_steps"))
                               .as("FLOP", "2 x forward MACs x sampling steps")});
  if (group.lines.empty()) notes.push_back("outputs: the scenario gives no inference and no language models");
  return group;
}

}  // namespace gpumonth::budget
