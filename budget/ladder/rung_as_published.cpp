// Rung 1: the publication's own product of factors, its operations taken for FLOPs, at 100 % of the peak.
#include <fmt/format.h>

#include "base/format.h"
#include "budget/ladder/ladder.h"

namespace gpumonth::budget {

std::optional<Rung> as_published(const LadderContext& context, const Rung*) {
  const Scenario& s = context.scenario;
  if (!s.has_all({"training.base_operations", "training.model_factor", "training.data_factor"})) {
    context.notes.push_back(
        "as-published: left out, the scenario has no training.base_operations, model_factor and data_factor");
    return std::nullopt;
  }
  if (!has_published_compute(s)) {
    context.notes.push_back(
        "as-published, flops-counted: left out, with video.share = 0 they are 0: the publication counts "
        "clips alone");
    return std::nullopt;
  }
  const Number frames = latent_frames(s), share = video_share(s);
  // A publication that scales by frames counts the clips alone: the images among the samples cost next to nothing.
  const Number video_factor = s.model.is_video() ? frames * share : exactly(1);
  Rung rung{.id = "as-published"};
  rung.compute =
      (s.at("training.base_operations") * s.at("training.model_factor") * s.at("training.data_factor") * video_factor)
          .as("FLOP", "base_operations x model_factor x data_factor x latent frames x video share");
  rung.utilisation = exactly(1);
  rung.gpu_months = gpu_months(s, rung.compute, rung.utilisation);
  rung.replacement = fmt::format("{} FLOP for the base model x {} for the model x {} for the data",
                                 range_text(s.at("training.base_operations"), scientific),
                                 range_text(s.at("training.model_factor"), compact),
                                 range_text(s.at("training.data_factor"), compact));
  if (s.model.is_video())
    rung.replacement +=
        fmt::format(" x {} latent frames x {} video", range_text(frames, compact), range_text(share, percent));
  rung.replacement += fmt::format(" = {} FLOP, at 100 % of {} TFLOP/s", range_text(rung.compute, scientific),
                                  s.hardware.peak_flops_per_s / 1e12);
  rung.inputs = rung.gpu_months.inputs;
  return rung;
}

}  // namespace gpumonth::budget
