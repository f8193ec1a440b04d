// Rung 5: the utilisation was measured on a few GPUs; on N of them communication and stragglers take their part, the
// state must fit, and a batch that grows with N needs more samples.
//   GPU-months = measured-mfu's x samples(batch) / efficiency(N), per draw
#include <fmt/format.h>

#include "budget/cluster.h"
#include "budget/format.h"
#include "budget/ladder.h"

namespace gpumonth::budget {
namespace {

std::string batch_text(const Scenario& s, const Cluster& cluster) {
  const double batch = cluster.simulation.global_batch();
  if (!s.has("batch.critical")) return fmt::format("batch {}", grouped(batch));
  const Number factor = drawn(cluster.outcome.samples_factor, {}, "1", "");
  return fmt::format("batch {} against a critical one of {}: {} x the samples", grouped(batch),
                     range_text(s.at("batch.critical"), grouped), range_text(factor, compact));
}

std::string memory_text(const Scenario& s, const Cluster& cluster) {
  if (!cluster.memory) return "memory not checked";
  return fmt::format("{:.3g} GB of {:g} GB per GPU ({})", cluster.memory->total() / 1e9, s.hardware.memory_gb,
                     describe(cluster.plan));
}

std::string what_stands_now(const Scenario& s, const Cluster& cluster, const Number& efficiency) {
  const ScalingBasis& basis = *cluster.basis;
  const auto most = groups(basis.fit.curve()).back().ranks;
  std::string text = fmt::format("on {} GPUs {} of that, from the fit of {} ({} .. {} GPUs{})",
                                 grouped(static_cast<double>(cluster.gpus)), range_text(efficiency, percent),
                                 basis.input, groups(basis.fit.curve()).front().ranks, most,
                                 cluster.gpus > most ? fmt::format(", extrapolated x {:.3g}",
                                                                   static_cast<double>(cluster.gpus) /
                                                                       static_cast<double>(most))
                                                     : "");
  if (cluster.simulation.extra_recompute() > 1)
    text += fmt::format("; x {:.3g} time for recompute", cluster.simulation.extra_recompute());
  if (!basis.carried.empty()) text += fmt::format("; carried over (assumed): {}", basis.carried);
  return fmt::format("{}; {}; {}; from here on 90 % of {} draws", text, batch_text(s, cluster),
                     memory_text(s, cluster), grouped(static_cast<double>(kDraws)));
}

Number provenance(const Scenario& s, const Cluster& cluster) {
  Number fitted = exactly(1);
  fitted.tag = Tag::fitted;
  fitted.inputs = {cluster.basis->input};
  if (!cluster.basis->carried.empty()) {
    Number carried = exactly(1);
    carried.tag = Tag::assumed;
    carried.inputs = {kScalingCarriedOver};
    fitted = fitted * carried;
  }
  for (const char* key : {"scaling.reference_gpus", "scaling.transfer", "batch.critical", "batch.base"})
    if (s.has(key)) fitted = fitted * s.at(key);
  return fitted;
}

}  // namespace

std::optional<Rung> scaling(const LadderContext& context, const Rung* before) {
  if (before == nullptr || context.cluster == nullptr || context.cluster->basis == nullptr) return std::nullopt;
  const Scenario& s = context.scenario;
  const Cluster& cluster = *context.cluster;
  const Outcome& out = cluster.outcome;
  const Number from = provenance(s, cluster);
  const Number efficiency = drawn(out.efficiency, from, "1", "throughput per GPU over that on the reference");
  Rung rung{.id = "scaling"};
  rung.replaces = fmt::format("the {} reached on {} GPU{} hold on any number, whatever the batch",
                              range_text(cluster.utilisation, percent), cluster.basis->reference,
                              cluster.basis->reference == 1 ? "" : "s");
  rung.replacement = what_stands_now(s, cluster, efficiency);
  rung.inputs = from.inputs;
  rung.compute = drawn(out.compute_flop * out.samples_factor, before->compute * from, "FLOP",
                       "compute x samples that the batch needs");
  rung.utilisation = drawn(out.utilisation * out.efficiency, before->utilisation * cluster.utilisation * from, "1",
                           "utilisation at the reference x efficiency on N GPUs");
  rung.gpu_months = drawn(out.scaling_months, before->gpu_months * rung.utilisation, "GPU-month",
                          "compute / (peak x utilisation x days per month x 86,400 s), 5 % .. 95 % of the draws");
  rung.median = quantile_of(out.scaling_months, 0.5);
  rung.factor = drawn(out.scaling_months / out.measured_months, from, "1", "draw by draw");
  return rung;
}

}  // namespace gpumonth::budget
