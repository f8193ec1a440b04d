// Rung 4: how much to train on. Scaling laws say it for the model's size, and published models how far they went beyond;
// a curriculum spreads it over images and clips, each counted with its own attention.
//   compute = optimal tokens x over-training x sum over stages of share x 6 MACs(stage) / tokens of a sample
// With training.data = "article" the rung shows this and changes nothing.
#include <fmt/format.h>

#include <algorithm>

#include "base/format.h"
#include "budget/ladder/ladder.h"

namespace gpumonth::budget {
namespace {

std::string what_was_seen(const Scenario& s) {
  if (!has_samples(s)) return "";
  const Number years = years_of_video(s);
  return fmt::format("{} samples are seen{}", range_text(samples_seen(Inputs<Number>(s)), compact),
                     years.known() ? fmt::format(", {} years of video", range_text(years, grouped)) : "");
}

std::string what_laws_say(const Inputs<Number>& in) {
  const Scenario& s = in.scenario();
  const auto& stages = s.curriculum->stages;
  const auto [fewest, most] = std::minmax_element(stages.begin(), stages.end(),
                                                  [](const Stage& a, const Stage& b) { return a.tokens < b.tokens; });
  const std::string laws =
      s.laws.empty() ? "" : fmt::format(" by {} scaling law{}", s.laws.size(), s.laws.size() == 1 ? "" : "s");
  return fmt::format(
      "{} tokens, optimal for the model{}, x {} over-training; in {} stages of {} .. {} tokens a sample ({}), {} FLOP to "
      "train on a token: {} FLOP",
      range_text(s.at("data.optimal_tokens"), scientific), laws, range_text(s.at("data.overtraining"), compact),
      stages.size(), grouped(static_cast<double>(fewest->tokens)), grouped(static_cast<double>(most->tokens)),
      s.curriculum->title, range_text(law_flops_per_token(in), scientific), range_text(law_compute(in), scientific));
}

}  // namespace

std::optional<Rung> data(const LadderContext& context, const Rung* before) {
  const Scenario& s = context.scenario;
  if (!s.has_law()) {
    // Samples that somebody counted need no law; those scaled up from a base model to clips are where it matters.
    if (s.model.is_video() && s.has("training.data_factor") && has_samples(s))
      context.notes.push_back(
          "data: left out, the scenario has no scaling laws, over-training and curriculum: add [data], as "
          "configs/scenarios/sora-2024.toml does");
    return std::nullopt;
  }
  if (!s.is_by_law() && before == nullptr) return std::nullopt;
  Rung rung{.id = RungId::data};
  set_numbers(rung, context, [](const auto& in) { return Training{compute(in), in.constant(1)}; });
  if (before != nullptr) rung.replaces = what_was_seen(s);
  if (!s.is_by_law()) {
    rung.replacement =
        fmt::format("as before, training.data = \"article\"; with \"law\": {}", what_laws_say(context.ends));
    return rung;
  }
  rung.replacement = what_laws_say(context.ends);
  rung.inputs = {"data.optimal_tokens", "data.overtraining", "data.curriculum"};
  return rung;
}

}  // namespace gpumonth::budget
