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
  Rung rung{.id = RungId::as_published};
  set_numbers(rung, context, [](const auto& in) { return Training{published_compute(in), in.constant(1)}; });
  rung.replacement = fmt::format("{} FLOP for the base model x {} for the model x {} for the data",
                                 range_text(s.at("training.base_operations"), scientific),
                                 range_text(s.at("training.model_factor"), compact),
                                 range_text(s.at("training.data_factor"), compact));
  if (s.model.is_video())
    rung.replacement += fmt::format(" x {} latent frames x {} video", range_text(latent_frames(context.ends), compact),
                                    range_text(video_share(context.ends), percent));
  rung.replacement += fmt::format(" = {} FLOP, at 100 % of {} TFLOP/s", range_text(rung.compute, scientific),
                                  s.hardware.peak_flops_per_s / 1e12);
  rung.inputs = rung.gpu_months.inputs;
  return rung;
}

}  // namespace gpumonth::budget
