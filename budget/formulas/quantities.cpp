#include "budget/formulas/quantities.h"

#include "budget/formulas/published_utilisation.h"

namespace gpumonth::budget {

bool has_published_compute(const Scenario& s) {
  return s.has_all({"training.base_operations", "training.model_factor", "training.data_factor"}) &&
         (!s.model.is_video() || video_share(Inputs<Number>(s)).high > 0);
}

bool has_samples(const Scenario& s) {
  return s.has("training.samples") || s.has_all({"training.base_batch", "training.base_steps", "training.data_factor"});
}

bool has_compute(const Scenario& s) { return s.is_by_law() || has_samples(s) || has_published_compute(s); }

Number years_of_video(const Scenario& s) {
  constexpr double kSecondsPerYear = 365.25 * kSecondsPerDay;
  const Inputs<Number> in(s);
  if (!has_samples(s) || !s.has("video.clip_length") || !(video_share(in).high > 0)) return {};
  return (samples_seen(in) * video_share(in) * s.at("video.clip_length") / kSecondsPerYear)
      .as("year", "samples x video share x clip length");
}

const char* critical_batch_key(const Scenario& s) {
  const bool clips = s.model.is_video() && video_share(Inputs<Number>(s)).high > 0;
  if (clips && s.has("batch.critical_clips")) return "batch.critical_clips";
  return s.has("batch.critical") ? "batch.critical" : nullptr;
}

Number reached_utilisation(const Scenario& s, const std::vector<Efficiency>& runs) {
  const Number measured = pooled_mfu(runs);
  if (measured.known()) return is_carried_over(runs, s.hardware) ? measured * carried_over() : measured;
  if (s.has_all({"utilisation.gpu_seconds", "training.flop_per_sample"}))
    return (s.at("training.flop_per_sample") / (s.at("utilisation.gpu_seconds") * s.at("hardware.peak_flops_per_s")))
        .as("1", "FLOP per sample / (GPU-seconds per sample x peak)");
  return utilisation_here(s);
}

model::ModelConfig image_model(const Scenario& s) {
  model::ModelConfig image = s.model;
  image.frames = image.temporal_patch_size;  // one patch in time
  return image;
}

}  // namespace gpumonth::budget
