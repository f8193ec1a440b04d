// Where the efficiency on many GPUs comes from: a fit of the given run logs, or of a published curve that the
// scenario names. Either gives how the throughput per GPU changes from a reference number of GPUs, at which
// the utilisation is known, to the planned one; that ratio is carried over to the scenario's model and device.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "budget/inputs/efficiency.h"
#include "budget/inputs/monte_carlo.h"
#include "budget/inputs/scenario.h"
#include "runlog/record.h"
#include "scaling/fit/fit.h"

namespace gpumonth::budget {

struct ScalingBasis {
  scaling::Fit fit;
  std::string input = {};      ///< as provenance names it: "curve flux1-b200", "scaling of the runs"
  std::string source = {};     ///< who measured it
  Tag tag = Tag::fitted;       ///< of the fit: simulated where a run of its curve is
  bool is_of_runs = false;     ///< else of a published curve
  std::int64_t reference = 1;  ///< GPUs (ranks) at which the utilisation holds
  Number utilisation = {};     ///< there; model FLOPs over peak
  std::string carried = {};    ///< what had to be carried over, in words; empty where nothing
  double recompute = 0;        ///< hardware over model FLOPs at the reference; 0: as much as the plan needs
};

constexpr const char* kScalingCarriedOver = "scaling carried over";

/// Nothing, and a note, where there is neither a curve nor runs on two rank counts. The runs that belong on one curve
/// (measured_run.h) are fitted, at each place the best kind (scaling/run_kinds.h); of several curves one that holds measured
/// runs comes before one of replayed and one of simulated runs alone, then the one on the most rank counts, with a note. A
/// published curve stands in where there are none, and where `gpus` is more than 64 times their ranks (scaling.source =
/// "runs" or "curve" decides otherwise). Throws UserError: the scenario's curve cannot be read, or is not one.
std::optional<ScalingBasis> scaling_basis(const Scenario& scenario, const std::vector<Efficiency>& runs,
                                          std::int64_t gpus, std::shared_ptr<const scaling::StepModel> components,
                                          std::vector<std::string>& notes);

/// The parts of a step as the logs of those runs have them, for the fit; null where they do not say enough.
/// `efficiencies`: of these runs, in their order.
std::shared_ptr<const scaling::StepModel> components_of(const std::vector<runlog::Run>& runs,
                                                        const std::vector<Efficiency>& efficiencies);

/// The fit of the usable runs that belong on one curve, chosen as above; nothing where they are on fewer than two rank
/// counts.
std::optional<scaling::Fit> fit_of_runs(const std::vector<Efficiency>& runs,
                                        std::shared_ptr<const scaling::StepModel> components);

/// How many GPUs the runs of a fit speak for: 64 times their most ranks.
std::int64_t reach_of(const scaling::Fit& fit);

/// The batch per rank at which a budget reads a curve: that of its point at these ranks, or at the most
/// before them. So that beyond its end every rank keeps the work it had there, also where the global batch
/// was the same on all points. NaN where the curve has no batch.
double forecast_batch(const scaling::ScalingCurve& curve, std::int64_t ranks);

/// Draws of throughput per GPU on `gpus` over the same on the reference, ascending: quantiles for the Monte Carlo.
std::vector<double> efficiency_draws(const ScalingBasis& basis, std::int64_t gpus);

}  // namespace gpumonth::budget
