// The report's part on scaling: what the runs, and a published curve where the budget reads one, say about
// many GPUs.
#include <fmt/format.h>

#include <cmath>

#include "base/format.h"
#include "budget/plan/scaling_basis.h"
#include "report/figures.h"
#include "report/html.h"
#include "report/report.h"

namespace gpumonth::report {
namespace {

std::int64_t planned_gpus(const budget::Budget& budget) {
  const budget::Number gpus = budget.scenario.at("cost.gpus");
  return gpus.known() ? static_cast<std::int64_t>(gpus.high) : 0;
}

/// How often the fit's shapes were believed: "log2 N 45 %, ideal 20 %".
std::string likely_shapes(const scaling::Fit& fit) {
  std::string text;
  for (const auto& shape : fit.shapes())
    if (shape.weight >= 0.1)
      text += fmt::format("{}{} {:.0f} %", text.empty() ? "" : ", ", name(shape.growth), 100 * shape.weight);
  return text;
}

std::string at(const scaling::Fit& fit, std::int64_t gpus) {
  const scaling::Prediction p = fit.predict(gpus, budget::forecast_batch(fit.curve(), gpus));
  return fmt::format("{} GPUs: {:.0f} – {:.0f} %", grouped(static_cast<double>(gpus)),
                     100 * fit.efficiency(gpus, p.low), 100 * fit.efficiency(gpus, p.high));
}

/// Why the median steps: "It steps where the work per GPU does: 4 samples on 512 GPUs, 0.5 on 4,096."
std::string jumps(const scaling::ScalingCurve& curve, const char* unit) {
  std::string text;
  double last = scaling::kUnknownBatch;
  for (const auto& group : scaling::groups(curve)) {
    const double batch = budget::forecast_batch(curve, group.ranks);
    if (std::isnan(batch) || batch == last) continue;
    text += fmt::format("{}{:g} sample{} on {}", text.empty() ? "" : ", ", batch, batch == 1 ? "" : "s",
                        grouped(static_cast<double>(group.ranks)));
    last = batch;
  }
  if (text.find(',') != std::string::npos)
    return fmt::format(" The curve steps where the work per {} does: {}.", unit, text);
  for (const auto& point : curve.points)
    if (scaling::has_batch(curve) && point.batch_per_rank != last)
      return fmt::format(" Median and band are for {:g} samples per {}.", last, unit);
  return "";
}

/// "Measured from 1 rank, simulated from 16; above 64 the forecast stands alone."; empty where all were measured.
std::string where_each_begins(const scaling::ScalingCurve& curve, const std::vector<budget::Efficiency>& runs) {
  const auto begins = first_ranks(curve, runs);
  if (begins.size() == 1 && begins.contains(runlog::Origin::measured)) return "";
  std::string text;
  for (const auto& [origin, ranks] : begins)
    text += fmt::format("{}{} from {}", text.empty() ? " The points are " : ", ", name(origin),
                        grouped(static_cast<double>(ranks)));
  return text + fmt::format(" ranks on; above {} the forecast stands alone.",
                            grouped(static_cast<double>(curve.points.back().ranks)));
}

std::string runs_fit(const scaling::Fit& fit, const std::vector<budget::Efficiency>& runs, std::int64_t gpus,
                     bool used) {
  const std::int64_t reach = budget::reach_of(fit);
  std::string text =
      fmt::format("Points: one per run log.{} Band: where one more run falls with 90 %. Shapes by weight: {}.{}",
                  where_each_begins(fit.curve(), runs), likely_shapes(fit), jumps(fit.curve(), "rank"));
  if (!used && gpus > reach)
    text += fmt::format(
        " Drawn to 64 times the most ranks, {}, beyond which the budget does not use it; a published curve "
        "stands in there.",
        grouped(static_cast<double>(reach)));
  return "<h3>The fit of the run logs</h3>\n" +
         html::figure(fit_figure(fit, gpus, used ? 0 : reach, "fig-fit-runs", "rank", runs), text);
}

std::string curve_fit(const budget::ScalingBasis& basis, std::int64_t gpus) {
  return fmt::format("<h3>The curve that the budget reads: {}</h3>\n", html::escape(basis.input)) +
         html::figure(fit_figure(basis.fit, gpus, 0, "fig-fit-curve", "GPU"),
                      html::dashes(fmt::format("A {}. On {}. Shapes by weight: {}.{} Carried over (assumed): {}.",
                                               basis.source, at(basis.fit, gpus), likely_shapes(basis.fit),
                                               jumps(basis.fit.curve(), "GPU"), basis.carried)));
}

}  // namespace

std::string scaling_section(const std::vector<runlog::Run>& runs, const std::vector<budget::Efficiency>& efficiencies,
                            const budget::Budget* budget) {
  const std::int64_t gpus = budget != nullptr ? planned_gpus(*budget) : 0;
  const bool has_basis = budget != nullptr && budget->basis.has_value();
  std::string out;
  if (has_basis && budget->basis->is_of_runs)
    out += runs_fit(budget->basis->fit, efficiencies, gpus, true);
  else if (const auto fit = budget::fit_of_runs(efficiencies, budget::components_of(runs, efficiencies)))
    out += runs_fit(*fit, efficiencies, gpus, false);
  if (has_basis && !budget->basis->is_of_runs) out += curve_fit(*budget->basis, gpus);
  return out.empty() ? "" : "<h2>How throughput scales</h2>\n" + out;
}

}  // namespace gpumonth::report
