// Rung 4: nobody reaches 100 % of the peak. The share comes from run logs, layer by layer where they are of the
// scenario's blocks at several lengths; without any from a benchmark that the scenario has of this training, or from
// what others have published.
#include <fmt/format.h>

#include <algorithm>

#include "base/format.h"
#include "budget/ladder/ladder.h"

namespace gpumonth::budget {
namespace {

constexpr std::size_t kNamedRuns = 2;  // more are counted; the rung's inputs hold every name

/// Every device that the usable runs name, once: "AMD EPYC 9654, NVIDIA H100 80GB HBM3".
std::string devices(const std::vector<Efficiency>& runs) {
  std::vector<std::string> names;
  for (const auto& run : runs)
    if (run.has_mfu() && std::find(names.begin(), names.end(), run.device_name) == names.end())
      names.push_back(run.device_name);
  return fmt::format("{}", fmt::join(names, ", "));
}

/// "measured"; "1 measured, 2 simulated" where not all that count were.
std::string kinds_of_pooled(const std::vector<Efficiency>& runs) {
  const std::string kinds = scaling::kinds_text(placed(pooled_runs(runs)));
  return kinds.empty() ? "measured" : kinds;
}

std::string what_was_measured(const LadderContext& context, const Number& mfu) {
  const auto& runs = context.runs;
  const std::string& target = context.scenario.hardware.name;
  const bool gemm =
      std::any_of(runs.begin(), runs.end(), [](const auto& r) { return r.has_mfu() && r.peak_is_measured; });
  std::string names;
  for (const auto& input : mfu.inputs) names += (names.empty() ? "" : ", ") + input;
  if (mfu.inputs.size() > kNamedRuns) names = fmt::format("{} run logs", mfu.inputs.size());
  std::string text = fmt::format("{} of {}: {} ({} on {})", range_text(mfu, percent),
                                 gemm ? "the matrix-product rate measured on that machine" : "the datasheet peak",
                                 kinds_of_pooled(runs), names, devices(runs));
  if (is_carried_over(runs, context.scenario.hardware))
    text += fmt::format(", carried over to the {}'s datasheet peak (assumed)", target);
  return text;
}

std::string what_layers_say(const Scenario& s, const MeasuredLayers& layers) {
  const LayerFit& fit = layers.fit;
  std::string text = fmt::format(
      "{} of the datasheet peak: a block's seconds a T + b T^2, measured at {} ({} run logs on {})",
      range_text(layers.utilisation, percent), measured_lengths(fit), fit.logs.size(), fit.logs.front().device_name);
  for (std::size_t i = 0; i < layers.lengths.size(); ++i)
    text += fmt::format("{} {} at {} tokens ({})", i == 0 ? ":" : ",", range_text(layers.mfu[i], percent),
                        grouped(layers.lengths[i].tokens), layers.lengths[i].id);
  if (s.plan.recompute != "none") text += fmt::format(", with recompute = \"{}\"", s.plan.recompute);
  if (layers.carried_over) text += fmt::format("; carried over to the {}, same peak (assumed)", s.hardware.name);
  return text;
}

}  // namespace

std::optional<Rung> measured_mfu(const LadderContext& context, const Rung* before) {
  const Scenario& s = context.scenario;
  if (before == nullptr) {
    context.notes.push_back("measured-mfu: left out, there is no compute to divide");
    return std::nullopt;
  }
  const Number measured = pooled_mfu(context.runs), mfu = context.ends.utilisation();
  Rung rung{.id = RungId::measured_mfu};
  set_numbers(rung, context, [](const auto& in) {
    return Training{compute(in), named(in.utilisation(), "1", "model FLOPs / (time x peak)")};
  });
  rung.replaces = fmt::format("{} of the peak is reached", range_text(before->utilisation, percent));
  rung.replacement =
      fmt::format("{} MFU, as others have published; give run logs with --runs", range_text(mfu, percent));
  if (context.layers != nullptr)
    rung.replacement = what_layers_say(s, *context.layers);
  else if (measured.known())
    rung.replacement = what_was_measured(context, measured);
  else if (s.has("utilisation.gpu_seconds"))
    rung.replacement = fmt::format("{} MFU: {} GPU-seconds per sample in a benchmark of this training",
                                   range_text(mfu, percent), range_text(s.at("utilisation.gpu_seconds"), compact));
  rung.inputs = mfu.inputs;
  return rung;
}

}  // namespace gpumonth::budget
