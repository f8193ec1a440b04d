#include "budget/plan/scaling_basis.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <tuple>
#include <utility>

#include "base/error.h"
#include "scaling/curve_csv.h"
#include "scaling/curve_of_runs.h"
#include "scaling/fit/components.h"
#include "scaling/throughput_unit.h"

namespace gpumonth::budget {
namespace {

constexpr std::size_t kCurveDraws = 4096;
/// How far runs reach, in multiples of their most ranks: six doublings. Published curves test a fit to x 16
/// at most.
constexpr std::int64_t kReach = 64;

/// Those that count, where a place on their curve has several kinds.
Runs counting(const Runs& group) {
  const auto by = scaling::superseding(placed(group));
  Runs kept;
  for (std::size_t i = 0; i < group.size(); ++i)
    if (!by[i]) kept.push_back(group[i]);
  return kept;
}

/// The best and the worst.
std::pair<runlog::Origin, runlog::Origin> kinds_between(const Runs& group) {
  const auto [best, worst] = std::minmax_element(group.begin(), group.end(),
                                                 [](const auto* a, const auto* b) { return a->origin < b->origin; });
  return {(*best)->origin, (*worst)->origin};
}

/// A curve that something was measured on comes before one that was replayed or simulated alone, then more rank counts,
/// then more ranks.
bool says_more(const Runs& a, const Runs& b) {
  const auto key = [](const Runs& group) {
    std::set<int> ranks;
    for (const auto* run : group) ranks.insert(run->ranks);
    return std::tuple(-static_cast<int>(kinds_between(group).first), ranks.size(), *ranks.rbegin());
  };
  return key(a) > key(b);
}

/// Usable runs that belong on one curve, on two rank counts or more: one says nothing about scaling.
std::vector<Runs> curves_of(const std::vector<Efficiency>& runs) {
  std::vector<Runs> curves;
  for (const auto& group : that_belong_together(runs, &Efficiency::has_mfu)) {
    const bool several =
        std::any_of(group.begin(), group.end(), [&](const auto* r) { return r->ranks != group.front()->ranks; });
    if (several) curves.push_back(counting(group));
  }
  std::stable_sort(curves.begin(), curves.end(), says_more);
  return curves;
}

Runs best_curve(const std::vector<Efficiency>& runs) {
  const auto curves = curves_of(runs);
  return curves.empty() ? Runs{} : curves.front();
}

std::string kinds_of(const Runs& group) {
  const std::string kinds = scaling::kinds_text(placed(group));
  return kinds.empty() ? "measured" : kinds;
}

/// Which of several curves is taken, and why.
void note_choice(const std::vector<Runs>& curves, std::vector<std::string>& notes) {
  if (curves.size() < 2) return;
  const Runs &taken = curves[0], &other = curves[1];
  const bool by_kind = kinds_between(taken).first != kinds_between(other).first;
  notes.push_back(
      fmt::format("scaling: of {} curves that of {} ({} on the {}) is taken, {}; not that of {} ({} on the {})",
                  curves.size(), taken.front()->path, kinds_of(taken), taken.front()->device_name,
                  by_kind ? "measured before replayed before simulated" : "on the most rank counts",
                  other.front()->path, kinds_of(other), other.front()->device_name));
}

scaling::ScalingCurve as_curve(const Runs& group) {
  scaling::ScalingCurve curve;
  curve.name = "runs";
  for (const auto* run : group) curve.points.push_back(scaling::point_of(run->summary, run->placed()));
  scaling::sort(curve);
  return curve;
}

scaling::ScalingCurve published_curve(const Scenario& s) {
  const auto curves = scaling::read_scaling_csv(s.curve.file);
  std::string names;
  for (const auto& curve : curves) {
    if (curve.name == s.curve.name || (s.curve.name.empty() && curves.size() == 1)) {
      if (const auto why = scaling::why_no_throughput(curve.unit); !why.empty())
        user_error("{}: curve '{}': {}; or name another with scaling.curve_name", s.curve.file, curve.name, why);
      return curve;
    }
    names += (names.empty() ? "" : ", ") + curve.name;
  }
  if (s.curve.name.empty())
    user_error("{}: holds {} curves: name one with scaling.curve_name: {}", s.curve.file, curves.size(), names);
  user_error("{}: there is no curve '{}' (scaling.curve_name), it holds {}", s.curve.file, s.curve.name, names);
}

std::int64_t fewest(const scaling::ScalingCurve& curve) { return scaling::groups(curve).front().ranks; }

Number range_of(const Runs& group, int ranks) {
  std::vector<Efficiency> chosen;
  for (const auto* run : group)
    if (run->ranks == ranks) chosen.push_back(*run);
  return pooled_mfu(chosen);
}

ScalingBasis from_runs(const Scenario& s, const std::vector<Efficiency>& all, const Runs& group,
                       std::shared_ptr<const scaling::StepModel> components) {
  const scaling::ScalingCurve curve = as_curve(group);
  ScalingBasis basis{.fit = *fit_of_runs(all, std::move(components))};
  basis.input = "scaling of the runs";
  basis.is_of_runs = true;
  basis.reference = fewest(curve);
  basis.utilisation = range_of(group, static_cast<int>(basis.reference));
  basis.recompute = group.front()->hardware_over_model_flops;
  const auto& run = *group.front();
  const std::string kinds = scaling::kinds_text(placed(group));
  basis.tag = std::max(basis.tag, tag_of(kinds_between(group).second));
  basis.source =
      fmt::format("fit of {} run logs{} of {} on {} .. {} x {}", group.size(), kinds.empty() ? "" : " (" + kinds + ")",
                  run.model_name, basis.reference, curve.points.back().ranks, run.device_name);
  if (is_carried_over(all, s.hardware)) basis.utilisation = basis.utilisation * carried_over();
  if (is_carried_over(all, s.hardware))
    basis.carried = fmt::format("the scaling of {} on {} to this model on the {}", run.model_name, run.device_name,
                                s.hardware.name);
  return basis;
}

/// The utilisation is the runs' where there are any, else the published one; the curve scales from where that holds.
void set_utilisation(const Scenario& s, const std::vector<Efficiency>& runs, ScalingBasis& basis) {
  basis.reference = fewest(basis.fit.curve());
  int ranks = 0;
  for (const auto& run : runs)
    if (run.has_mfu() && run.ranks >= ranks) ranks = run.ranks, basis.recompute = run.hardware_over_model_flops;
  if (ranks > 0) {
    basis.utilisation = pooled_mfu(runs);
    if (is_carried_over(runs, s.hardware)) basis.utilisation = basis.utilisation * carried_over();
    basis.reference = ranks;
  } else if (s.has("scaling.reference_gpus")) {
    basis.reference = std::llround(s.at("scaling.reference_gpus").low);
  }
}

ScalingBasis from_curve(const Scenario& s, const std::vector<Efficiency>& runs, std::vector<std::string>& notes) {
  const scaling::ScalingCurve curve = published_curve(s);
  for (const auto& note : curve.notes) notes.push_back("scaling: curve " + curve.name + ": " + note);
  ScalingBasis basis{.fit = scaling::fit_curve(curve)};
  basis.input = "curve " + curve.name;
  set_utilisation(s, runs, basis);
  basis.source = fmt::format("fit of {}, {} .. {} GPUs: {}", curve.name, fewest(curve),
                             scaling::groups(curve).back().ranks, curve.source.empty() ? s.curve.file : curve.source);
  basis.carried = fmt::format("the scaling of {} to this model on the {}", curve.name, s.hardware.name);
  return basis;
}

}  // namespace

std::shared_ptr<const scaling::StepModel> components_of(const std::vector<runlog::Run>& runs,
                                                        const std::vector<Efficiency>& efficiencies) {
  std::vector<const runlog::Run*> group;
  for (const auto* chosen : best_curve(efficiencies))
    group.push_back(&runs[static_cast<std::size_t>(chosen - efficiencies.data())]);
  if (group.empty()) return nullptr;
  return scaling::step_model(std::make_shared<const scaling::Components>(scaling::fit_components(group)));
}

std::optional<ScalingBasis> scaling_basis(const Scenario& s, const std::vector<Efficiency>& runs, std::int64_t gpus,
                                          std::shared_ptr<const scaling::StepModel> components,
                                          std::vector<std::string>& notes) {
  const std::vector<Runs> curves = curves_of(runs);
  const Runs group = curves.empty() ? Runs{} : curves.front();
  const bool has_curve = !s.curve.file.empty();
  if (group.empty() && !has_curve && s.has("step.bandwidth")) return std::nullopt;  // a step's parts stand in
  if (group.empty() && !has_curve) {
    notes.push_back(
        "scaling: left out, there are no runs on two or more rank counts (--runs) and the scenario names no published "
        "curve (scaling.curve)");
    return std::nullopt;
  }
  if (group.empty()) return from_curve(s, runs, notes);
  const std::int64_t most = as_curve(group).points.back().ranks;
  const bool reach = gpus <= kReach * most;
  if (s.curve.choice == "runs" || !has_curve || (s.curve.choice == "auto" && reach)) {
    note_choice(curves, notes);
    return from_runs(s, runs, group, std::move(components));
  }
  if (!reach)
    notes.push_back(
        fmt::format("scaling: the runs' {} ranks say little about {} GPUs, more than {} times as many; the "
                    "scenario's published curve is taken (--set scaling.source=runs takes the runs)",
                    most, gpus, kReach));
  return from_curve(s, runs, notes);
}

double forecast_batch(const scaling::ScalingCurve& curve, std::int64_t ranks) {
  if (!scaling::has_batch(curve)) return scaling::kUnknownBatch;
  double batch = scaling::kUnknownBatch;
  for (const auto& group : scaling::groups(curve))
    if (std::isnan(batch) || group.ranks <= ranks) batch = group.batch_per_rank;
  return batch;
}

std::optional<scaling::Fit> fit_of_runs(const std::vector<Efficiency>& runs,
                                        std::shared_ptr<const scaling::StepModel> components) {
  const Runs group = best_curve(runs);
  if (group.empty()) return std::nullopt;
  scaling::FitOptions options;
  options.components = std::move(components);
  return scaling::fit_curve(as_curve(group), options);
}

std::int64_t reach_of(const scaling::Fit& fit) { return kReach * fit.curve().points.back().ranks; }

std::vector<double> efficiency_draws(const ScalingBasis& basis, std::int64_t gpus) {
  const scaling::ScalingCurve& curve = basis.fit.curve();
  return basis.fit.ratio_per_rank(gpus, forecast_batch(curve, gpus), basis.reference,
                                  forecast_batch(curve, basis.reference), kCurveDraws);
}

}  // namespace gpumonth::budget
