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
    text +=
        fmt::format(", a clip is {} images, the images themselves cost nothing", range_text(latent_frames(s), compact));
  return text;
}

std::string what_is_counted(const Scenario& s, const Number& clip_flops, const Number& image_flops,
                            const Number& compute) {
  const double attention =
      static_cast<double>(model::attention_forward_macs(s.model)) / static_cast<double>(model::forward_macs(s.model));
  std::string text = fmt::format("counted: {} FLOP to train on a {} of {} tokens (attention {})",
                                 range_text(clip_flops, scientific), s.model.is_video() ? "clip" : "sample",
                                 grouped(static_cast<double>(s.model.tokens())), percent(attention));
  if (s.model.is_video() && video_share(s).low < 1)
    text +=
        fmt::format(", {} on an image of {}; {} clips", range_text(image_flops, scientific),
                    grouped(static_cast<double>(s.model.grid()) * s.model.grid()), range_text(video_share(s), percent));
  return text + fmt::format("; {} samples seen: {} FLOP", range_text(samples_seen(s), compact),
                            range_text(compute, scientific));
}

/// A model that is no DiT: its FLOP per sample are an input.
Rung stated_per_sample(const Scenario& s, const Rung* before, const Number& samples) {
  Rung rung{.id = "attention-counted"};
  rung.compute = (samples * s.at("training.flop_per_sample")).as("FLOP", "samples x FLOP per sample");
  rung.utilisation = before ? before->utilisation : exactly(1);
  rung.gpu_months = gpu_months(s, rung.compute, rung.utilisation);
  rung.replaces = what_is_scaled(s, before);
  rung.replacement = fmt::format("{} FLOP to train on a sample, as the scenario says; {} samples seen: {} FLOP",
                                 range_text(s.at("training.flop_per_sample"), scientific), range_text(samples, compact),
                                 range_text(rung.compute, scientific));
  rung.inputs = rung.compute.inputs;
  return rung;
}

}  // namespace

std::optional<Rung> attention_counted(const LadderContext& context, const Rung* before) {
  const Scenario& s = context.scenario;
  const Number samples = samples_seen(s);
  if (!samples.known()) {
    context.notes.push_back(
        "attention-counted: left out, the scenario gives neither training.samples nor base_batch, base_steps "
        "and "
        "data_factor");
    return std::nullopt;
  }
  if (s.has("training.flop_per_sample")) return stated_per_sample(s, before, samples);
  const Number six = exactly(kTrainingFlopsPerForwardMac);
  const Number clip = (six * clip_forward_macs(s)).as("FLOP"), image = (six * image_forward_macs(s)).as("FLOP");
  const Number share = video_share(s);
  Rung rung{.id = "attention-counted"};
  // share appears twice: its two ends are each taken whole, not mixed. A clip never costs less than an image.
  Number mean = share * clip + (exactly(1) - share) * image;
  mean.low = share.low * clip.low + (1 - share.low) * image.low;
  mean.high = share.high * clip.high + (1 - share.high) * image.high;
  rung.compute = (samples * mean).as("FLOP", "samples x (share x 6 MACs(clip) + (1 - share) x 6 MACs(image))");
  rung.utilisation = before ? before->utilisation : exactly(1);
  rung.gpu_months = gpu_months(s, rung.compute, rung.utilisation);
  rung.replaces = what_is_scaled(s, before);
  rung.replacement = what_is_counted(s, clip, image, rung.compute);
  rung.inputs = rung.compute.inputs;
  return rung;
}

}  // namespace gpumonth::budget
