#include "budget/plan/simulation.h"

#include <algorithm>
#include <cmath>

#include "base/quantile.h"
#include "budget/ladder/ladder.h"
#include "budget/plan/goodput.h"
#include "model/flops.h"
#include "model/parameters.h"

namespace gpumonth::budget {
namespace {

constexpr double kSecondsPerDay = 86400, kWattHoursPerMwh = 1e6;
constexpr double kGradientBytes = 4,
                 kUpdateBytes = 36;  // fp32: gradient read; weight, two moments, EMA read and written

bool is_drawn(const std::string& key) {
  // What the utilisation stands for, what is chosen, and what is only compared with.
  return key != "cost.gpus" && !key.starts_with("utilisation.") && !key.starts_with("disclosed.");
}

}  // namespace

Simulation::Simulation(const Scenario& scenario, const MemoryPlan& plan, const Number& utilisation,
                       const ScalingBasis* basis, std::int64_t gpus)
    : scenario_(scenario), plan_(plan), utilisation_(utilisation), basis_(basis), gpus_(gpus) {
  const Scenario& s = scenario_;
  if (!s.has("training.flop_per_sample")) {
    clip_flop_ = kTrainingFlopsPerForwardMac * clip_forward_macs(s).low;
    image_flop_ = kTrainingFlopsPerForwardMac * image_forward_macs(s).low;
    parameters_ = static_cast<double>(model::ParameterTable(s.model).count());
  } else if (s.has("training.parameters")) {
    parameters_ = s.at("training.parameters").low;
  }
  for (const auto& [key, input] : s.inputs)
    if (is_drawn(key) && input.distribution.shape != DistributionShape::fixed)
      inputs_.push_back({key, [d = input.distribution](double u) { return d.quantile(u); }});
  Distribution d = distribution_of(utilisation_.low, utilisation_.high, 0, 1);
  for (const auto& [key, input] : s.inputs)  // a scenario's own utilisation brings its own distribution
    if (key == "utilisation.published_mfu" && utilisation_.inputs == std::vector<std::string>{key})
      d = input.distribution;
  inputs_.push_back({kUtilisationInput, [d](double u) { return d.quantile(u); }});
  if (basis_ != nullptr)
    inputs_.push_back({kEfficiencyInput,
                       [draws = efficiency_draws(*basis_, gpus_)](double u) { return quantile_of_sorted(draws, u); }});
}

bool Simulation::has_goodput() const {
  return scenario_.has_all({"goodput.failure_rate", "goodput.checkpoint", "goodput.restart"});
}

double Simulation::global_batch() const {
  return static_cast<double>(gpus_ / plan_.replica_gpus) * plan_.batch_per_replica;
}

double Simulation::extra_recompute() const {
  if (basis_ == nullptr || !(basis_->recompute > 0) || !plan_.recompute || clip_flop_ == 0) return 1;
  const double plan = 1 + static_cast<double>(model::recompute_flops(scenario_.model)) /
                              static_cast<double>(model::train_flops(scenario_.model));
  return std::max(1.0, plan / basis_->recompute);
}

Column Simulation::at(const Sample& sample, const std::string& key) const {
  const auto found = sample.values.find(key);
  return found != sample.values.end() ? found->second : Column::Constant(sample.draws, scenario_.at(key).low);
}

Column Simulation::samples(const Sample& x) const {
  if (scenario_.has("training.samples")) return at(x, "training.samples");
  return at(x, "training.base_batch") * at(x, "training.base_steps") * at(x, "training.data_factor");
}

/// As the last of the rungs as-published, flops-counted, attention-counted has it.
Column Simulation::compute(const Sample& x) const {
  const Scenario& s = scenario_;
  const Column share =
      s.has("video.share") ? at(x, "video.share") : Column::Constant(x.draws, s.model.is_video() ? 1.0 : 0.0);
  if (s.has("training.samples") || s.has_all({"training.base_batch", "training.base_steps", "training.data_factor"})) {
    if (s.has("training.flop_per_sample")) return samples(x) * at(x, "training.flop_per_sample");
    return samples(x) * (share * clip_flop_ + (1 - share) * image_flop_);
  }
  Column product = at(x, "training.base_operations") * at(x, "training.model_factor") * at(x, "training.data_factor");
  if (s.model.is_video()) product *= latent_frames(s).low * share;
  if (s.has("training.flops_per_operation")) product *= at(x, "training.flops_per_operation");
  return product;
}

bool Simulation::has_step() const {
  return scenario_.has("step.bandwidth") && parameters_ > 0 &&
         std::isfinite(scenario_.hardware.memory_bandwidth_bytes_per_s);
}

/// The update reads and writes the state once, whatever the batch; the exchange of the gradients hides behind
/// backward, two thirds of the products' time, and shows where that is too short.
Column Simulation::step_factor(const Sample& x, const Outcome& out) const {
  if (!has_step()) return Column::Ones(x.draws);
  const auto n = static_cast<double>(gpus_);
  const Column flop = out.compute_flop / samples(x) * (global_batch() / n);  // of a GPU, per step
  const Column products_s = flop / (scenario_.hardware.peak_flops_per_s * out.utilisation);
  const double shards = plan_.sharding == "none" ? 1 : n;
  const double update_s = kUpdateBytes * parameters_ / shards / scenario_.hardware.memory_bandwidth_bytes_per_s;
  const Column exchange_s = 2 * (n - 1) / n * kGradientBytes * parameters_ / at(x, "step.bandwidth");
  return 1 + ((exchange_s - products_s * 2 / 3).max(0) + update_s) / products_s;
}

Column Simulation::curve_efficiency(const Sample& x) const {
  if (!has_curve()) return Column::Ones(x.draws);
  const Column efficiency = at(x, kEfficiencyInput);
  if (!scenario_.has("scaling.transfer") || basis_->carried.empty()) return efficiency;
  const Column lost = 1 / efficiency - 1;  // time per sample beyond the reference's
  return (lost > 0).select(1 / (1 + at(x, "scaling.transfer") * lost), efficiency);
}

void Simulation::add_scaling(const Sample& x, Outcome& out) const {
  const Scenario& s = scenario_;
  out.step_factor = step_factor(x, out);
  out.efficiency = curve_efficiency(x) / (extra_recompute() * out.step_factor);
  out.samples_factor = Column::Ones(x.draws);
  if (s.has("batch.critical")) {
    const Column critical = at(x, "batch.critical");
    // The samples are meant for the base batch; where that is not known, for one far below the critical one.
    const char* base = s.has("batch.base") ? "batch.base" : "training.base_batch";
    const Column base_factor = s.has(base) ? Column(1 + at(x, base) / critical) : Column(Column::Ones(x.draws));
    out.samples_factor = samples_over_minimum(global_batch(), critical) / base_factor;
  }
  out.months = out.scaling_months = out.measured_months * out.samples_factor / out.efficiency;
}

void Simulation::add_goodput(const Sample& x, Outcome& out) const {
  const Column write = at(x, "goodput.checkpoint"), restart = at(x, "goodput.restart");
  out.mtbf_s = mean_time_between_failures_s(at(x, "goodput.failure_rate"), static_cast<double>(gpus_));
  out.interval_s = daly_interval_s(write, out.mtbf_s);
  out.goodput = forward_share(out.interval_s, write, restart, out.mtbf_s);
  if (scenario_.has("goodput.other_stops")) out.goodput *= 1 - at(x, "goodput.other_stops");
  out.months = out.goodput_months = out.months / out.goodput;
}

void Simulation::add_costs(const Sample& x, Outcome& out) const {
  const Scenario& s = scenario_;
  const Column gpu_days = out.months * at(x, "time.days_per_month");
  const Column gpu_hours = gpu_days * kHoursPerDay;
  out.days = gpu_days / static_cast<double>(gpus_);
  if (s.has("cost.price")) out.usd = gpu_hours * at(x, "cost.price");
  const char* power = s.has("cost.power") ? "cost.power" : "hardware.power_w";
  if (!s.has(power)) return;
  out.board_mwh = gpu_hours * at(x, power) / kWattHoursPerMwh;
  if (s.has("cost.pue")) out.building_mwh = out.board_mwh * at(x, "cost.pue");
}

Outcome Simulation::evaluate(const Sample& x) const {
  Outcome out;
  out.compute_flop = compute(x);
  out.utilisation = at(x, kUtilisationInput);
  const Column month_s = at(x, "time.days_per_month") * kSecondsPerDay;
  out.months = out.measured_months =
      out.compute_flop / (scenario_.hardware.peak_flops_per_s * out.utilisation * month_s);
  if (has_scaling()) add_scaling(x, out);
  if (has_goodput()) add_goodput(x, out);
  add_costs(x, out);
  return out;
}

Outcome Simulation::draw() const {
  return evaluate(
      sample_at(inputs_, latin_hypercube(kDraws, static_cast<Eigen::Index>(inputs_.size()), kMonteCarloSeed)));
}

}  // namespace gpumonth::budget
