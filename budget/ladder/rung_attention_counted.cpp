// Rung 3: the model itself is counted, instead of scaled up from a smaller one. Attention is quadratic in the
// tokens of a clip, so that a clip costs more than its frames as so many images; the images among the samples
// are counted as images.
//   training FLOP = samples x (share x 6 x MACs(clip) + (1 - share) x 6 x MACs(image));  6 = 2 FLOP x (1 + 2 backward)
#include <fmt/format.h>

#include "base/format.h"
#include "budget/ladder/ladder.h"
#include "model/flops.h"

namespace gpumonth::budget {
namespace {

std::string what_is_scaled(const Scenario& s, const Rung* before) {
  if (before == nullptr) return "";
  std::string text =
      fmt::format("a sample costs {} x the base model's", range_text(s.at("training.model_factor"), compact));
  if (s.model.is_video())
    text += fmt::format(", a clip is {} images, the images themselves cost nothing",
                        range_text(latent_frames(Inputs<Number>(s)), compact));
  return text;
}

std::string what_is_counted(const Inputs<Number>& in, const Number& compute) {
  const Scenario& s = in.scenario();
  const double attention =
      static_cast<double>(model::attention_forward_macs(s.model)) / static_cast<double>(model::forward_macs(s.model));
  std::string text = fmt::format(
      "counted: {} FLOP to train on a {} of {} tokens (attention {})", range_text(clip_training_flops(in), scientific),
      s.model.is_video() ? "clip" : "sample", grouped(static_cast<double>(s.model.tokens())), percent(attention));
  if (s.model.is_video() && video_share(in).low < 1)
    text += fmt::format(", {} on an image of {}; {} clips", range_text(image_training_flops(in), scientific),
                        grouped(static_cast<double>(s.model.grid()) * s.model.grid()),
                        range_text(video_share(in), percent));
  return text + fmt::format("; {} samples seen: {} FLOP", range_text(samples_seen(in), compact),
                            range_text(compute, scientific));
}

/// A model that is no DiT: its FLOP per sample are an input.
std::string what_is_stated(const Inputs<Number>& in, const Number& compute) {
  return fmt::format("{} FLOP to train on a sample, as the scenario says; {} samples seen: {} FLOP",
                     range_text(in.at("training.flop_per_sample"), scientific), range_text(samples_seen(in), compact),
                     range_text(compute, scientific));
}

}  // namespace

std::optional<Rung> attention_counted(const LadderContext& context, const Rung* before) {
  const Scenario& s = context.scenario;
  if (!has_samples(s)) {
    context.notes.push_back(
        "attention-counted: left out, the scenario gives neither training.samples nor base_batch, base_steps "
        "and "
        "data_factor");
    return std::nullopt;
  }
  Rung rung{.id = RungId::attention_counted};
  set_numbers(rung, context, [](const auto& in) { return Training{counted_compute(in), in.constant(1)}; });
  rung.replaces = what_is_scaled(s, before);
  rung.replacement = s.has("training.flop_per_sample") ? what_is_stated(context.ends, rung.compute)
                                                       : what_is_counted(context.ends, rung.compute);
  rung.inputs = rung.compute.inputs;
  return rung;
}

}  // namespace gpumonth::budget
