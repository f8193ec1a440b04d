#include "budget/plan/simulation.h"

#include <algorithm>
#include <cmath>

#include "base/quantile.h"
#include "budget/formulas/costs.h"
#include "budget/formulas/quantities.h"
#include "budget/plan/goodput.h"
#include "budget/plan/transfer.h"
#include "model/parameters.h"

namespace gpumonth::budget {
namespace {

constexpr double kGradientBytes = 4,
                 kUpdateBytes = 36;  // fp32: gradient read; weight, two moments, EMA read and written

/// Inputs that share a source, and so are high together or low together; docs/method.md, "What the range comes from".
constexpr double kPairedRank = 0.5;
const std::vector<std::vector<std::string>> kPaired = {
    {kUtilisationInput, kEfficiencyInput},                            // how well software and network do
    {"goodput.failure_rate", "goodput.other_stops"},                  // the same clusters
    {"training.data_factor", "training.samples", "batch.critical"}};  // which grows with the data

bool is_drawn(const std::string& input) {
  const ScenarioKey* key = scenario_key(input);  // the device and the model are none of a scenario's numbers
  return key != nullptr && key->drawn;
}

/// Of a published utilisation that is brought to other lengths and recompute.
Distribution scaled(Distribution d, double factor) {
  if (factor == 1) return d;
  d.low *= factor;
  d.median *= factor;
  d.high = std::min(1.0, d.high * factor);
  return d;
}

}  // namespace

std::vector<UncertainInput> uncertain_inputs(const Scenario& s, const Number& utilisation, const ScalingBasis* basis,
                                             std::int64_t gpus) {
  std::vector<UncertainInput> inputs;
  for (const auto& [key, input] : s.inputs)
    if (is_drawn(key) && input.distribution.shape != DistributionShape::fixed)
      inputs.push_back({key, [d = input.distribution](double u) { return d.quantile(u); }});
  Distribution d = distribution_of(utilisation.low, utilisation.high, 0, 1);
  for (const auto& [key, input] : s.inputs)  // a scenario's own utilisation brings its own distribution
    if (key == "utilisation.published_mfu" && utilisation.inputs == std::vector<std::string>{key})
      d = scaled(input.distribution, utilisation.low / input.number.low);
  inputs.push_back({kUtilisationInput, [d](double u) { return d.quantile(u); }});
  if (basis != nullptr)
    inputs.push_back({kEfficiencyInput,
                      [draws = efficiency_draws(*basis, gpus)](double u) { return quantile_of_sorted(draws, u); }});
  if (draws_transfer(s, basis))
    inputs.push_back({kTransferInput, [half_to_twice = distribution_of(kTransferLow, kTransferHigh, 0, 1000)](
                                          double u) { return half_to_twice.quantile(u); }});
  return inputs;
}

double plan_overhead(const Scenario& s, const MemoryPlan& plan) {
  if (!recomputes(plan) || s.has("training.flop_per_sample")) return 1;
  return 1 + static_cast<double>(model::recompute_flops(s.model, model::recompute_named(plan.recompute))) /
                 static_cast<double>(model::train_flops(s.model));
}

Sample drawn_sample(const std::vector<UncertainInput>& inputs) {
  Eigen::MatrixXd points = latin_hypercube(kDraws, static_cast<Eigen::Index>(inputs.size()), kMonteCarloSeed);
  for (std::size_t group = 0; group < kPaired.size(); ++group)
    for (std::size_t member = 0; member < kPaired[group].size(); ++member)
      for (std::size_t i = 0; i < inputs.size(); ++i)
        if (inputs[i].name == kPaired[group][member])
          pair_column(points, static_cast<Eigen::Index>(i), kPairedRank, kMonteCarloSeed + 10 * (group + 1),
                      kMonteCarloSeed + 10 * (group + 1) + member + 1);
  return sample_at(inputs, points);
}

Simulation::Simulation(const Scenario& scenario, const MemoryPlan& plan, const Number& utilisation,
                       const ScalingBasis* basis, std::int64_t gpus)
    : scenario_(scenario), plan_(plan), basis_(basis), gpus_(gpus),
      inputs_(uncertain_inputs(scenario, utilisation, basis, gpus)) {
  if (!scenario.has("training.flop_per_sample"))
    parameters_ = static_cast<double>(model::ParameterTable(scenario.model).count());
  else if (scenario.has("training.parameters"))
    parameters_ = scenario.at("training.parameters").low;
}

bool Simulation::has_goodput() const {
  return scenario_.has_all({"goodput.failure_rate", "goodput.checkpoint", "goodput.restart"});
}

double Simulation::global_batch() const {
  return static_cast<double>(gpus_ / plan_.replica_gpus) * plan_.batch_per_replica;
}

double Simulation::extra_recompute() const {
  if (basis_ == nullptr || !(basis_->recompute > 0) || scenario_.has("training.flop_per_sample")) return 1;
  return plan_overhead(scenario_, plan_) / basis_->recompute;
}

bool Simulation::has_step() const {
  return scenario_.has("step.bandwidth") && parameters_ > 0 &&
         std::isfinite(scenario_.hardware.memory_bandwidth_bytes_per_s);
}

bool Simulation::has_imbalance() const {
  if (!scenario_.has("plan.imbalance") || !scenario_.model.is_video() || gpus_ <= plan_.replica_gpus) return false;
  const Number clips = video_share(Inputs<Number>(scenario_));
  return scenario_.at("plan.imbalance").high > 0 && clips.high > 0 && clips.low < 1;
}

Column Simulation::flop_per_gpu_step(const Inputs<Column>& in, const Outcome& out) const {
  // By law a step has as many tokens in every stage of the curriculum: a replica packs images up to a clip's.
  const Column sample_flop = scenario_.is_by_law()
                                 ? Column(law_flops_per_token(in) * static_cast<double>(scenario_.model.tokens()))
                                 : Column(out.compute_flop / samples_seen(in));
  return sample_flop * (global_batch() / static_cast<double>(gpus_));
}

/// What a GPU sends in a step, by what can hide it: the products of forward, a third, those of backward, or nothing. Without
/// the all-to-alls of a replica's GPUs, which are near each other. Of a model that is not counted: its all-reduce.
Simulation::SentBytes Simulation::sent_bytes() const {
  const auto n = static_cast<double>(gpus_);
  if (scenario_.has("training.flop_per_sample")) return {0, 2 * (n - 1) / n * kGradientBytes * parameters_, 0};
  SentBytes bytes;
  for (const model::SentPart& part : sent_parts(scenario_.model, plan_, gpus_)) {
    if (part.kind == model::SentKind::exchanged) continue;
    double& of_phase = part.phase == model::SentPhase::forward    ? bytes.forward
                       : part.phase == model::SentPhase::backward ? bytes.backward
                                                                  : bytes.update;
    of_phase += static_cast<double>(part.bytes);
  }
  return bytes;
}

/// The update reads and writes the state once, whatever the batch; what is sent shows where the products are too short to
/// hide it.
Column Simulation::step_factor(const Inputs<Column>& in, const Outcome& out) const {
  if (!has_step()) return in.constant(1);
  const auto n = static_cast<double>(gpus_);
  const Column products_s = flop_per_gpu_step(in, out) / (scenario_.hardware.peak_flops_per_s * out.utilisation);
  const double shards = plan_.sharding == "none" ? 1 : n;
  const double update_s = kUpdateBytes * parameters_ / shards / scenario_.hardware.memory_bandwidth_bytes_per_s;
  const SentBytes bytes = sent_bytes();
  const Column bandwidth = in.at("step.bandwidth");
  const Column exposed_s = (bytes.forward / bandwidth - products_s / 3).max(0) +
                           (bytes.backward / bandwidth - products_s * 2 / 3).max(0) + bytes.update / bandwidth;
  return 1 + (exposed_s + update_s) / products_s;
}

/// As the scenario says; else half to twice what parameters per FLOP of a GPU's step are here over there.
Column Simulation::transfer(const Inputs<Column>& in, const Outcome& out) const {
  if (in.has("scaling.transfer")) return in.at("scaling.transfer");
  if (!draws_transfer(scenario_, basis_)) return in.constant(1);
  if (!has_transfer_rule(scenario_, basis_)) return in.at(kTransferInput);
  const Column here = parameters_ / flop_per_gpu_step(in, out);
  return in.at(kTransferInput) * here / curve_parameters_per_flop(scenario_, *basis_, gpus_);
}

/// Of a curve that is carried over, what waits for stragglers is lost here too; the rest times `transfer`.
Column Simulation::curve_efficiency(const Inputs<Column>& in, const Outcome& out) const {
  if (!has_curve()) return in.constant(1);
  const Column efficiency = in.at(kEfficiencyInput);
  if (out.transfer.size() == 0) return efficiency;
  const Column lost = 1 / efficiency - 1;  // time per sample beyond the reference's, in times of that
  const Column share = in.has("scaling.stragglers") ? in.at("scaling.stragglers") : in.constant(0);
  const Column waited = (share * (1 + lost)).min(lost);  // no more than was lost
  return (lost > 0).select(1 / (1 + out.transfer * (lost - waited) + waited), efficiency);
}

void Simulation::add_scaling(const Inputs<Column>& in, Outcome& out) const {
  const Scenario& s = scenario_;
  out.step_factor = step_factor(in, out);
  out.imbalance = has_imbalance() ? Column(1 + in.at("plan.imbalance")) : in.constant(1);
  if (has_curve() && !basis_->carried.empty()) out.transfer = transfer(in, out);
  out.efficiency = curve_efficiency(in, out) / (extra_recompute() * out.step_factor * out.imbalance);
  out.samples_factor = in.constant(1);
  if (const char* key = critical_batch_key(s)) {
    const Column critical = in.at(key);
    // The published samples are meant for the base batch; those by law, and where it is not known, for one far below the
    // critical one.
    const char* base = s.has("batch.base") || s.is_by_law() ? "batch.base" : "training.base_batch";
    const Column base_factor = s.has(base) ? Column(1 + in.at(base) / critical) : in.constant(1);
    out.samples_factor = samples_over_minimum(global_batch(), critical) / base_factor;
  }
  out.months = out.scaling_months = out.measured_months * out.samples_factor / out.efficiency;
}

void Simulation::add_goodput(const Inputs<Column>& in, Outcome& out) const {
  const Column write = in.at("goodput.checkpoint"), restart = in.at("goodput.restart");
  out.mtbf_s = mean_time_between_failures_s(in.at("goodput.failure_rate"), static_cast<double>(gpus_));
  out.interval_s = daly_interval_s(write, out.mtbf_s);
  out.goodput = forward_share(out.interval_s, write, restart, out.mtbf_s);
  if (scenario_.has("goodput.other_stops")) out.goodput *= 1 - in.at("goodput.other_stops");
  out.months = out.goodput_months = out.months / out.goodput;
}

void Simulation::add_costs(const Inputs<Column>& in, Outcome& out) const {
  out.days = days_on(in, out.months, in.constant(static_cast<double>(gpus_)));
  if (in.has("cost.price")) out.usd = usd(in, out.months);
  if (power_key(scenario_) == nullptr) return;
  out.board_mwh = board_energy(in, out.months);
  if (in.has("cost.pue")) out.building_mwh = building_energy(in, out.months);
}

Outcome Simulation::evaluate(const Sample& sample) const {
  const Inputs<Column> in(scenario_, sample);
  Outcome out;
  out.compute_flop = compute(in);
  out.utilisation = in.utilisation();
  out.months = out.measured_months = gpu_months(in, out.compute_flop, out.utilisation);
  if (has_scaling()) add_scaling(in, out);
  if (has_goodput()) add_goodput(in, out);
  add_costs(in, out);
  return out;
}

}  // namespace gpumonth::budget
