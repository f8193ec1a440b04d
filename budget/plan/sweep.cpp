#include "budget/plan/sweep.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/format.h"
#include "budget/plan/training_plan.h"

namespace gpumonth::budget {
namespace {

Number range(const Column& column, const char* unit) {
  return column.size() > 0 ? drawn(column, {}, unit, "") : Number{};
}

SweepRow row(const TrainingPlan& training) {
  const Outcome& out = training.outcome;
  SweepRow row{.gpus = training.gpus};
  row.plan = describe(training.plan);
  row.global_batch = training.simulation.global_batch();
  row.efficiency = range(out.efficiency, "1");
  row.samples_factor = range(out.samples_factor, "1");
  row.goodput = range(out.goodput, "1");
  row.gpu_months = range(out.months, "GPU-month");
  row.gpu_months_median = quantile_of(out.months, 0.5);
  row.days = range(out.days, "day");
  row.days_median = quantile_of(out.days, 0.5);
  row.usd = range(out.usd, "USD");
  row.energy_mwh = range(out.building_mwh.size() > 0 ? out.building_mwh : out.board_mwh, "MWh");
  return row;
}

/// The efficiency steps where the curve's submitters put another batch on every GPU: not the network's doing.
void note_batch_steps(const ScalingBasis& basis, std::vector<std::int64_t> gpus, std::vector<std::string>& notes) {
  const scaling::ScalingCurve& curve = basis.fit.curve();
  if (!scaling::has_batch(curve)) return;
  std::sort(gpus.begin(), gpus.end());
  for (std::size_t i = 1; i < gpus.size(); ++i) {
    const double before = forecast_batch(curve, gpus[i - 1]), here = forecast_batch(curve, gpus[i]);
    if (here < before)
      notes.push_back(fmt::format(
          "scaling: from {} to {} GPUs the batch per GPU of {} falls from {:g} to {:g}, and with it the "
          "efficiency",
          grouped(static_cast<double>(gpus[i - 1])), grouped(static_cast<double>(gpus[i])), basis.input, before, here));
  }
}

}  // namespace

std::vector<std::int64_t> usual_sweep(const Scenario& s) {
  if (!s.has("cost.gpus") || s.at("cost.gpus").is_range()) return {};
  const std::int64_t replica = s.plan.replica_gpus;
  std::vector<std::int64_t> gpus;
  for (const double factor : {0.125, 0.25, 0.5, 1.0, 2.0, 4.0}) {
    const auto replicas = std::llround(s.at("cost.gpus").low * factor) / replica;
    if (replicas >= 1 && (gpus.empty() || gpus.back() < replicas * replica)) gpus.push_back(replicas * replica);
  }
  return gpus;
}

std::vector<SweepRow> sweep(const Scenario& s, const Number& utilisation, const ScalingBasis* basis,
                            const std::vector<std::int64_t>& gpus, std::vector<std::string>& notes) {
  std::vector<SweepRow> rows;
  for (const auto n : gpus) try {
      rows.push_back(row(make_training_plan(s, utilisation, basis, n, notes)));
    } catch (const UserError& error) {
      rows.push_back({.gpus = n, .refused = error.what()});
    }
  if (std::all_of(rows.begin(), rows.end(), [](const auto& r) { return !r.refused.empty(); }))
    user_error("{}", rows.front().refused);
  if (basis != nullptr) note_batch_steps(*basis, gpus, notes);
  return rows;
}

}  // namespace gpumonth::budget
