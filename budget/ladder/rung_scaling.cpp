// Rung 5: the utilisation was measured on a few GPUs; on N of them communication and stragglers take their
// part, the state must fit, and a batch that grows with N needs more samples.
//   GPU-months = measured-mfu's x samples(batch) / efficiency(N), per draw
#include <fmt/format.h>

#include <cmath>

#include "base/format.h"
#include "budget/ladder/ladder.h"
#include "budget/plan/transfer.h"

namespace gpumonth::budget {
namespace {

std::string batch_text(const Scenario& s, const TrainingPlan& training) {
  const double batch = training.simulation.global_batch();
  const char* key = critical_batch_key(s);
  if (key == nullptr) return fmt::format("batch {}", grouped(batch));
  const Number critical = s.at(key);
  const Number factor = drawn(training.outcome.samples_factor, {}, "1", "");
  return fmt::format("batch {} against a critical one of {} {}s: {} x the samples", grouped(batch),
                     range_text(critical, grouped), critical.unit, range_text(factor, compact));
}

std::string memory_text(const Scenario& s, const TrainingPlan& training) {
  if (!training.memory) return "memory not checked";
  const std::string sent = training.sent.empty()
                               ? ""
                               : fmt::format(", {:.3g} GB sent a step", static_cast<double>(sum(training.sent)) / 1e9);
  return fmt::format("{:.3g} GB of {:g} GB per GPU ({}){}", training.memory->total() / 1e9, s.hardware.memory_gb,
                     describe(training.plan), sent);
}

/// Why a published curve falls where its submitters put less work on every GPU; empty where they did not.
std::string batch_step(const scaling::ScalingCurve& curve, std::int64_t gpus) {
  const std::int64_t fewest = scaling::groups(curve).front().ranks;
  const double first = forecast_batch(curve, fewest), here = forecast_batch(curve, gpus);
  if (!scaling::has_batch(curve) || first == here) return "";
  return fmt::format("; its batch per GPU falls from {:g} on {} to {:g} here", first,
                     grouped(static_cast<double>(fewest)), here);
}

/// What of the curve's loss is lost here.
std::string transfer_text(const Scenario& s, const TrainingPlan& training) {
  const Column& transfer = training.outcome.transfer;
  if (transfer.size() == 0) return "";
  std::string text = fmt::format(", x {} of its loss", range_text(drawn(transfer, {}, "", ""), compact));
  if (has_transfer_rule(s, training.basis)) text += " (by parameters per FLOP of a GPU's step, half to twice)";
  if (s.has("scaling.stragglers"))
    text += fmt::format(" beside {} of a step for stragglers", range_text(s.at("scaling.stragglers"), percent));
  return text;
}

std::string curve_text(const Scenario& s, const TrainingPlan& training) {
  const ScalingBasis& basis = *training.basis;
  const auto all = scaling::groups(basis.fit.curve());
  const auto most = all.back().ranks;
  const double beyond = static_cast<double>(training.gpus) / static_cast<double>(most);
  std::string text = fmt::format(", from the fit of {} ({} .. {} GPUs{})", basis.input,
                                 grouped(static_cast<double>(all.front().ranks)), grouped(static_cast<double>(most)),
                                 beyond > 1 ? fmt::format(", extrapolated x {:.3g}", beyond) : "");
  text += batch_step(basis.fit.curve(), training.gpus);
  if (std::abs(training.simulation.extra_recompute() - 1) > 1e-3)
    text += fmt::format("; x {:.3g} time for recompute", training.simulation.extra_recompute());
  if (!basis.carried.empty())
    text += fmt::format("; carried over (assumed): {}", basis.carried) + transfer_text(s, training);
  return text;
}

std::string what_stands_now(const Scenario& s, const TrainingPlan& training, const Number& efficiency) {
  std::string text = fmt::format("on {} GPUs {} of that", grouped(static_cast<double>(training.gpus)),
                                 range_text(efficiency, percent));
  if (training.basis != nullptr) text += curve_text(s, training);
  if (training.simulation.has_step())
    text += fmt::format("; a step takes {} x its products, for update and exchange",
                        range_text(drawn(training.outcome.step_factor, {}, "", ""), compact));
  if (training.simulation.has_imbalance())
    text += fmt::format("; x {} time for replicas of unequal work (images and clips)",
                        range_text(drawn(training.outcome.imbalance, {}, "", ""), compact));
  return fmt::format("{}; {}; {}; from here on 90 % of {} draws", text, batch_text(s, training),
                     memory_text(s, training), grouped(static_cast<double>(kDraws)));
}

std::string what_was_supposed(const TrainingPlan& training) {
  const std::string reached = range_text(training.utilisation, percent);
  if (training.basis == nullptr) return fmt::format("the {} hold on any number of GPUs, whatever the batch", reached);
  return fmt::format("the {} reached on {} GPU{} hold on any number, whatever the batch", reached,
                     training.basis->reference, training.basis->reference == 1 ? "" : "s");
}

/// What the curve brings in.
Number basis_provenance(const ScalingBasis& basis) {
  Number fitted = exactly(1);
  fitted.tag = basis.tag;
  fitted.inputs = {basis.input};
  if (basis.carried.empty()) return fitted;
  Number carried = exactly(1);
  carried.tag = Tag::assumed;
  carried.inputs = {kScalingCarriedOver};
  return fitted * carried;
}

Number provenance(const Scenario& s, const TrainingPlan& training) {
  Number from = training.basis != nullptr ? basis_provenance(*training.basis) : exactly(1);
  if (draws_transfer(s, training.basis)) {
    Number around = exactly(1);
    around.tag = Tag::assumed;
    around.inputs = {kTransferInput};
    from = from * around;
  }
  if (has_transfer_rule(s, training.basis))
    from = from * s.at("scaling.curve_parameters") * s.at("scaling.curve_flop_per_sample");
  if (training.simulation.has_imbalance()) from = from * s.at("plan.imbalance");
  if (s.has("scaling.stragglers") && training.outcome.transfer.size() > 0) from = from * s.at("scaling.stragglers");
  for (const char* key :
       {"scaling.reference_gpus", "scaling.transfer", "step.bandwidth", critical_batch_key(s), "batch.base"})
    if (key != nullptr && s.has(key)) from = from * s.at(key);
  return from;
}

}  // namespace

std::optional<Rung> scaling(const LadderContext& context, const Rung* before) {
  if (before == nullptr || context.training == nullptr || !context.training->simulation.has_scaling())
    return std::nullopt;
  const Scenario& s = context.scenario;
  const TrainingPlan& training = *context.training;
  const Outcome& out = training.outcome;
  const Number from = provenance(s, training);
  const Number efficiency = drawn(out.efficiency, from, "1", "throughput per GPU over that on the reference");
  Rung rung{.id = RungId::scaling};
  rung.replaces = what_was_supposed(training);
  rung.replacement = what_stands_now(s, training, efficiency);
  rung.inputs = from.inputs;
  rung.compute = drawn(out.compute_flop * out.samples_factor, before->compute * from, "FLOP",
                       "compute x samples that the batch needs");
  rung.utilisation = drawn(out.utilisation * out.efficiency, before->utilisation * training.utilisation * from, "1",
                           "utilisation at the reference x efficiency on N GPUs");
  rung.gpu_months = drawn(out.scaling_months, before->gpu_months * rung.utilisation, "GPU-month",
                          "compute / (peak x utilisation x days per month x 86,400 s), 5 % .. 95 % of the draws");
  rung.draws = spread_of(out.scaling_months);
  rung.factor = drawn(out.scaling_months / out.measured_months, from, "1", "draw by draw");
  return rung;
}

}  // namespace gpumonth::budget
