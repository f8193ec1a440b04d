#include "budget/ladder/ladder.h"

#include "model/flops.h"

namespace gpumonth::budget {
namespace {

constexpr RungFunction kRungs[] = {as_published, flops_counted, attention_counted, measured_mfu, scaling, goodput};

Number counted(const Scenario& scenario, const model::ModelConfig& model) {
  return (scenario.at("model") * exactly(static_cast<double>(model::forward_macs(model)))).as("MAC", "model/flops.h");
}

}  // namespace

Number Rung::factor_over(const Rung& before) const {
  return is_drawn() ? factor : Number{gpu_months.low / before.gpu_months.low, gpu_months.high / before.gpu_months.high};
}

std::vector<Rung> climb(const LadderContext& context) {
  std::vector<Rung> rungs;
  for (const RungFunction make : kRungs)
    if (auto rung = make(context, rungs.empty() ? nullptr : &rungs.back())) rungs.push_back(std::move(*rung));
  return rungs;
}

Number gpu_months(const Scenario& s, const Number& compute, const Number& utilisation) {
  const Number month = s.at("time.days_per_month") * exactly(86400);
  return (compute / (s.at("hardware.peak_flops_per_s") * utilisation * month))
      .as("GPU-month", "compute / (peak x utilisation x days per month x 86,400 s)");
}

Number latent_frames(const Scenario& s) {
  if (!s.has_all({"video.clip_length", "video.frame_rate", "video.temporal_compression"}))
    return exactly(s.model.frames);
  return (s.at("video.clip_length") * s.at("video.frame_rate") / s.at("video.temporal_compression"))
      .as("1", "clip_length x frame_rate / temporal_compression");
}

Number video_share(const Scenario& s) {
  return s.has("video.share") ? s.at("video.share") : exactly(s.model.is_video() ? 1 : 0);
}

Number samples_seen(const Scenario& s) {
  if (s.has("training.samples")) return s.at("training.samples");
  if (!s.has_all({"training.base_batch", "training.base_steps", "training.data_factor"})) return {};
  return (s.at("training.base_batch") * s.at("training.base_steps") * s.at("training.data_factor"))
      .as("sample", "base_batch x base_steps x data_factor");
}

bool has_published_compute(const Scenario& s) {
  return s.has_all({"training.base_operations", "training.model_factor", "training.data_factor"}) &&
         (!s.model.is_video() || video_share(s).high > 0);
}

bool has_compute(const Scenario& s) { return samples_seen(s).known() || has_published_compute(s); }

Number reached_utilisation(const Scenario& s, const std::vector<Efficiency>& runs) {
  const Number measured = pooled_mfu(runs);
  if (measured.known()) return is_carried_over(runs, s.hardware) ? measured * carried_over() : measured;
  if (s.has_all({"utilisation.gpu_seconds", "training.flop_per_sample"}))
    return (s.at("training.flop_per_sample") / (s.at("utilisation.gpu_seconds") * s.at("hardware.peak_flops_per_s")))
        .as("1", "FLOP per sample / (GPU-seconds per sample x peak)");
  return s.at("utilisation.published_mfu");
}

Number clip_forward_macs(const Scenario& s) { return counted(s, s.model); }

Number image_forward_macs(const Scenario& s) {
  model::ModelConfig image = s.model;
  image.frames = image.temporal_patch_size;  // one patch in time
  return counted(s, image);
}

}  // namespace gpumonth::budget
