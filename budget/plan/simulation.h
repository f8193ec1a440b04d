// The budget on a number of GPUs as a Monte Carlo: what is drawn, and the quantities (quantities.h, costs.h) on columns
// of draws, with scaling, batch and failures. docs/method.md, "From a scaling curve to a budget", derives each.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "budget/formulas/inputs.h"
#include "budget/inputs/monte_carlo.h"
#include "budget/inputs/scenario.h"
#include "budget/plan/scaling_basis.h"

namespace gpumonth::budget {

constexpr Eigen::Index kDraws = 16384;  ///< the error of a 5 % quantile is about 1 % of the spread
constexpr std::uint64_t kMonteCarloSeed = 20240303;

/// What is uncertain: the scenario's ranges, the utilisation (of `basis`, which may be nullptr, where that knows
/// better), and with a basis the efficiency on `gpus`. The first ones are the same whatever the GPUs, and so are their
/// draws.
std::vector<UncertainInput> uncertain_inputs(const Scenario& scenario, const Number& utilisation,
                                             const ScalingBasis* basis, std::int64_t gpus);
/// The draws that all results of a budget share. Inputs that share a source are drawn together, with a rank correlation
/// of 0.5; each keeps its own distribution.
Sample drawn_sample(const std::vector<UncertainInput>& inputs);

/// One column per quantity, one row per draw. Empty columns: inputs are missing.
struct Outcome {
  Column compute_flop;     ///< of the whole training, before the batch's part
  Column utilisation;      ///< on the reference number of GPUs
  Column measured_months;  ///< GPU-months of the rung measured-mfu
  Column step_factor;      ///< time of a step over that of its products: update and exchange that the batch
                           ///< cannot hide
  Column transfer;    ///< of the curve's loss, stragglers aside, what is lost here; empty where none is carried over
  Column imbalance;   ///< time of a step over that of its average replica
  Column efficiency;  ///< utilisation on these GPUs over that on the reference
  Column samples_factor;  ///< samples that this batch needs over those that the scenario counts
  Column scaling_months;
  Column mtbf_s, interval_s, goodput;
  Column goodput_months;
  Column months;  ///< of the last rung that could be computed
  Column days, usd, board_mwh, building_mwh;
};

/// Hardware over model FLOPs of the scenario's clips by this plan; 1 where they are not counted.
double plan_overhead(const Scenario& scenario, const MemoryPlan& plan);

/// The model that turns draws into an outcome, for one number of GPUs.
class Simulation {
 public:
  /// `utilisation` is what the rung measured-mfu has, of which `basis` (may be nullptr) may know better.
  /// Scenario and basis must live longer than this.
  Simulation(const Scenario& scenario, const MemoryPlan& plan, const Number& utilisation, const ScalingBasis* basis,
             std::int64_t gpus);

  const std::vector<UncertainInput>& inputs() const { return inputs_; }
  Outcome evaluate(const Sample& sample) const;
  bool has_curve() const { return basis_ != nullptr; }
  bool has_step() const;       ///< the parts of a step that do not shrink with the batch are counted
  bool has_imbalance() const;  ///< replicas have images or clips, and the scenario says what that costs
  bool has_scaling() const { return has_curve() || has_step() || has_imbalance(); }
  bool has_goodput() const;
  std::int64_t gpus() const { return gpus_; }
  double global_batch() const;     ///< samples per step
  double extra_recompute() const;  ///< time of a step of the plan over that of the reference, for recompute

 private:
  Column flop_per_gpu_step(const Inputs<Column>& in, const Outcome& outcome) const;
  struct SentBytes {
    double forward = 0, backward = 0, update = 0;
  };
  SentBytes sent_bytes() const;
  Column step_factor(const Inputs<Column>& in, const Outcome& outcome) const;
  Column transfer(const Inputs<Column>& in, const Outcome& outcome) const;
  Column curve_efficiency(const Inputs<Column>& in, const Outcome& outcome) const;
  void add_scaling(const Inputs<Column>& in, Outcome& outcome) const;
  void add_goodput(const Inputs<Column>& in, Outcome& outcome) const;
  void add_costs(const Inputs<Column>& in, Outcome& outcome) const;

  const Scenario& scenario_;
  MemoryPlan plan_;
  const ScalingBasis* basis_;
  std::int64_t gpus_;
  double parameters_ = 0;
  std::vector<UncertainInput> inputs_;
};

}  // namespace gpumonth::budget
