// The quantities of a training, each written once over the value V: a Number (both ends) or a Column (draws). The ladder,
// the Monte Carlo and the lines beside them all take them from here. docs/method.md derives each.
#pragma once

#include <type_traits>
#include <vector>

#include "budget/formulas/data.h"
#include "budget/formulas/inputs.h"
#include "budget/inputs/efficiency.h"
#include "model/flops.h"

namespace gpumonth::budget {

constexpr double kSecondsPerDay = 86400;

/// Whether the published product of factors is a compute: it counts clips alone, and is none where video.share is 0.
bool has_published_compute(const Scenario& scenario);
/// Whether the samples seen in training are known.
bool has_samples(const Scenario& scenario);
/// Whether the scenario says enough for a compute: samples, or a published base.
bool has_compute(const Scenario& scenario);

/// Of the clips among samples_seen(); unknown where there are none, or of no known length.
Number years_of_video(const Scenario& scenario);

/// The key of the critical batch that counts: in clips where the samples are such; nullptr where it is not known.
const char* critical_batch_key(const Scenario& scenario);

/// Model FLOPs over peak: of the runs, else of the recipe's own benchmark, else as published.
Number reached_utilisation(const Scenario& scenario, const std::vector<Efficiency>& runs);

/// The scenario's model for one image: its first latent frame alone.
model::ModelConfig image_model(const Scenario& scenario);

/// Latent frames of a clip; 1 for images.
template <class V>
V latent_frames(const Inputs<V>& in) {
  if (!in.scenario().has_all({"video.clip_length", "video.frame_rate", "video.temporal_compression"}))
    return in.constant(in.scenario().model.frames);
  return named(in.at("video.clip_length") * in.at("video.frame_rate") / in.at("video.temporal_compression"), "1",
               "clip_length x frame_rate / temporal_compression");
}

/// Share of clips among the samples: video.share, or all where the model has frames and nothing is said.
template <class V>
V video_share(const Inputs<V>& in) {
  return in.has("video.share") ? in.at("video.share") : in.constant(in.scenario().model.is_video() ? 1 : 0);
}

/// Samples seen in training: training.samples, or base_batch x base_steps x data_factor; not finite without either.
template <class V>
V samples_seen(const Inputs<V>& in) {
  if (in.has("training.samples")) return in.at("training.samples");
  return named(in.at("training.base_batch") * in.at("training.base_steps") * in.at("training.data_factor"), "sample",
               "base_batch x base_steps x data_factor");
}

/// Counted, not scaled: forward MACs of one clip, or of one image.
template <class V>
V forward_macs(const Inputs<V>& in, const model::ModelConfig& model) {
  return named(in.at("model") * static_cast<double>(model::forward_macs(model)), "MAC", "model/flops.h");
}
template <class V>
V clip_forward_macs(const Inputs<V>& in) {
  return forward_macs(in, in.scenario().model);
}
template <class V>
V clip_training_flops(const Inputs<V>& in) {
  return named(kTrainingFlopsPerForwardMac * clip_forward_macs(in), "FLOP");
}
template <class V>
V image_training_flops(const Inputs<V>& in) {
  return named(kTrainingFlopsPerForwardMac * forward_macs(in, image_model(in.scenario())), "FLOP");
}

/// The publication's own product of factors. One that scales by frames counts the clips alone: the images among the
/// samples cost next to nothing.
template <class V>
V published_compute(const Inputs<V>& in) {
  const V video = in.scenario().model.is_video() ? V(latent_frames(in) * video_share(in)) : in.constant(1);
  return named(
      in.at("training.base_operations") * in.at("training.model_factor") * in.at("training.data_factor") * video,
      "FLOP", "base_operations x model_factor x data_factor x latent frames x video share");
}

/// The same where its operations are multiply-adds.
template <class V>
V published_flops(const Inputs<V>& in) {
  return named(published_compute(in) * in.at("training.flops_per_operation"), "FLOP",
               "compute as published x flops_per_operation (1 multiply-add = 2 FLOP)");
}

/// Samples times what the model itself takes per sample; of a model that is no DiT that is an input.
template <class V>
V counted_compute(const Inputs<V>& in) {
  const V samples = samples_seen(in);
  if (in.has("training.flop_per_sample"))
    return named(samples * in.at("training.flop_per_sample"), "FLOP", "samples x FLOP per sample");
  return named(samples * mixed(video_share(in), clip_training_flops(in), image_training_flops(in)), "FLOP",
               "samples x (share x 6 MACs(clip) + (1 - share) x 6 MACs(image))");
}

/// Samples that the chosen rule of the data (training.data) trains on.
template <class V>
V samples_trained(const Inputs<V>& in) {
  return in.scenario().is_by_law() ? law_samples(in) : samples_seen(in);
}

/// By law where training.data says so; else of the three above the last that the scenario has the inputs of.
template <class V>
V compute(const Inputs<V>& in) {
  if (in.scenario().is_by_law()) return law_compute(in);
  if (has_samples(in.scenario())) return counted_compute(in);
  return in.has("training.flops_per_operation") ? published_flops(in) : published_compute(in);
}

/// compute / (peak x utilisation x days x 86,400 s), in GPU-months of the scenario's device.
template <class V>
V gpu_months(const Inputs<V>& in, const std::type_identity_t<V>& compute, const std::type_identity_t<V>& utilisation) {
  const V month = in.at("time.days_per_month") * kSecondsPerDay;
  return named(compute / (in.at("hardware.peak_flops_per_s") * utilisation * month), "GPU-month",
               "compute / (peak x utilisation x days per month x 86,400 s)");
}

}  // namespace gpumonth::budget
