// The budget for programs. Numbers are {value} or {low, high}, with unit and provenance; nan and null never appear.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/json.h"
#include "budget/budget.h"
#include "budget/plan/simulation.h"

namespace gpumonth::budget {
namespace {

Json input_json(const Budget& budget, const std::string& input) {
  const InputDescription d = describe_input(budget, input);
  Json out{{"input", input}, {"tag", name(d.tag)}, {"source", d.source}};
  return out;
}

Json provenance(const Number& number) {
  Json out{{"tag", name(number.tag)}};
  if (!number.formula.empty()) out["formula"] = number.formula;
  out["inputs"] = number.inputs;
  return out;
}

void set_range(Json& out, const Number& number) {
  if (!number.is_range()) out["value"] = number.low;
  out["low"] = number.low;
  out["high"] = number.high;
}

Json number_json(const Number& number) {
  Json out = Json::object();
  set_range(out, number);
  out["unit"] = number.unit;
  out["provenance"] = provenance(number);
  return out;
}

Json rung_json(const Budget& budget, const Rung& rung) {
  Json out{{"id", name(rung.id)}, {"low", rung.gpu_months.low}, {"high", rung.gpu_months.high}, {"unit", "GPU-month"}};
  if (!rung.replaces.empty()) out["replaces"] = rung.replaces;
  out["replacement"] = rung.replacement;
  out["replacement_inputs"] = Json::array();
  for (const auto& input : rung.inputs) out["replacement_inputs"].push_back(input_json(budget, input));
  out["interval"] = rung.is_drawn() ? "90 % of the draws" : "ends of all ranges";
  if (rung.is_drawn()) {
    out["median"] = rung.draws.median;
    out["factor"] = number_json(rung.factor);
  }
  out["draws"] = {{"low", rung.draws.low}, {"median", rung.draws.median}, {"high", rung.draws.high}};
  out["compute"] = number_json(rung.compute);
  out["utilisation"] = number_json(rung.utilisation);
  out["provenance"] = provenance(rung.gpu_months);
  return out;
}

Json data_json(const DataRules& data) {
  const auto spread = [](const Spread& s) { return Json{{"low", s.low}, {"median", s.median}, {"high", s.high}}; };
  Json out{{"rule", data.chosen}, {"rung", data.rung}, {"why", data.why}};
  for (const auto& side : data.sides)
    out[side.rule] = {{"compute_flop", spread(side.compute_flop)}, {"gpu_months", spread(side.gpu_months)}};
  return out;
}

/// Energy, clock and MFU at that clock, where the log has them: most have not, which is no note.
void add_gpu(const Efficiency& run, Json& out) {
  const auto set = [&out](const char* key, double value) {
    if (std::isfinite(value)) out[key] = value;
  };
  set("mfu_at_clock", run.mfu_at_clock);
  set("sm_clock_mhz", run.gpu.sm_clock_mhz);
  set("energy_per_step_j", run.gpu.energy_per_step_j);
  set("energy_per_sample_j", run.gpu.energy_per_sample_j);
  set("power_w", run.gpu.power_w);
  set("power_limited", run.gpu.power_limited);
  set("heat_limited", run.gpu.heat_limited);
}

Json run_json(const Efficiency& run, const Efficiency* better, Json& notes) {
  Json out{{"path", run.path},
           {"device_name", run.device_name},
           {"model_name", run.model_name},
           {"dtype", run.dtype},
           {"ranks", run.ranks},
           {"steady_steps", run.steps},
           {"warm_up_steps", run.summary.warm_up.steps},
           {"checkpoint_steps", run.summary.checkpoint.steps}};
  out["origin"] = name(run.origin);
  if (better != nullptr) out["superseded_by"] = better->path;
  if (run.global_batch == std::floor(run.global_batch))
    out["global_batch"] = static_cast<std::int64_t>(run.global_batch);
  else
    out["global_batch"] = run.global_batch;  // it changes within the log: the mean
  const auto set = [&](const char* key, double value) {
    set_if_finite(
        out, key, value, notes,
        "run " + run.path + ": " +
            (run.has_mfu() ? fmt::format("{} steady steps are too few for an interval", run.steps) : run.why_unknown));
  };
  if (run.has_steps()) set("step_mean_s", run.summary.mean.step_time_s);
  set("step_median_s", run.step_median_s);
  set("step_p5_s", run.step_p5_s);
  set("step_p95_s", run.step_p95_s);
  set("samples_per_s", run.samples_per_s);
  set("flops_per_s", run.flops_per_s);
  set("peak_flops_per_s", run.peak_flops_per_s);
  out["peak_source"] = run.peak_source;
  out["peak_is_measured"] = run.peak_is_measured;
  set("mfu", run.mfu);
  set("mfu_low", run.mfu_low);
  set("mfu_high", run.mfu_high);
  set("step_mfu_p5", run.step_mfu_p5);
  set("step_mfu_median", run.step_mfu_median);
  set("step_mfu_p95", run.step_mfu_p95);
  add_gpu(run, out);
  return out;
}

Json shares_json(const std::vector<InputShare>& shares) {
  Json out = Json::array();
  for (const auto& [share, tag] : shares)
    out.push_back({{"input", share.input},
                   {"share", share.first_order},
                   {"total", share.total},
                   {"low", share.low},
                   {"high", share.high},
                   {"tag", name(tag)}});
  return out;
}

Json sweep_json(const std::vector<SweepRow>& sweep) {
  Json rows = Json::array();
  for (const auto& row : sweep) {
    Json out{{"gpus", row.gpus}};
    if (!row.refused.empty()) {
      out["refused"] = row.refused;
      rows.push_back(out);
      continue;
    }
    out["plan"] = row.plan;
    out["global_batch"] = row.global_batch;
    const auto set = [&out](const char* key, const Number& number) {
      if (number.known()) out[key] = {{"low", number.low}, {"high", number.high}};
    };
    set("efficiency", row.efficiency);
    set("samples_factor", row.samples_factor);
    set("goodput", row.goodput);
    set("gpu_months", row.gpu_months);
    out["gpu_months"]["median"] = row.gpu_months_median;
    set("days", row.days);
    out["days"]["median"] = row.days_median;
    set("usd", row.usd);
    set("energy_mwh", row.energy_mwh);
    rows.push_back(out);
  }
  return rows;
}

Json inputs_json(const Budget& budget) {
  Json out = Json::object();
  for (const auto& [key, input] : budget.scenario.inputs) {
    Json one = Json::object();
    set_range(one, input.number);
    one["unit"] = input.number.unit;
    one["tag"] = name(input.number.tag);
    one["source"] = input.source;
    out[key] = one;
  }
  for (const auto& rung : budget.rungs)
    for (const auto& input : rung.inputs) {
      if (out.contains(input)) continue;
      const InputDescription d = describe_input(budget, input);
      Json one = Json::object();
      set_range(one, d.number);
      one["unit"] = d.number.unit;
      one["tag"] = name(d.tag);
      one["source"] = d.source;
      out[input] = one;
    }
  return out;
}

}  // namespace

std::string to_json_text(const Budget& budget) {
  const Scenario& s = budget.scenario;
  Json notes = Json::array();
  Json out{{"scenario", {{"path", s.path}, {"title", s.title}, {"summary", s.summary}}}};
  out["hardware"] = {
      {"name", s.hardware.name}, {"peak_flops_per_s", s.hardware.peak_flops_per_s}, {"source", s.hardware.source}};
  out["rungs"] = Json::array();
  for (const auto& rung : budget.rungs) out["rungs"].push_back(rung_json(budget, rung));
  for (const auto& group : budget.groups)
    for (const auto& line : group.lines) out[group.id][line.id] = number_json(line.number);
  if (!budget.months_shares.empty()) {
    out["monte_carlo"] = {{"draws", kDraws}, {"seed", kMonteCarloSeed}, {"interval", 0.9}};
    out["variance"]["gpu_months"] = shares_json(budget.months_shares);
    out["variance"]["usd"] = shares_json(budget.usd_shares);
    out["most_important"] = Json::array();
    for (std::size_t i = 0; i < std::min<std::size_t>(3, budget.months_shares.size()); ++i)
      out["most_important"].push_back(budget.months_shares[i].share.input);
  }
  if (budget.data) out["data"] = data_json(*budget.data);
  if (!budget.sweep.empty()) out["sweep"] = sweep_json(budget.sweep);
  out["runs"] = Json::array();
  const Runs better = superseding(budget.runs);
  for (std::size_t i = 0; i < budget.runs.size(); ++i)
    out["runs"].push_back(run_json(budget.runs[i], better[i], notes));
  out["inputs"] = inputs_json(budget);
  for (const auto& note : budget.notes) notes.push_back(note);
  out["notes"] = notes;
  return gpumonth::to_text(out);
}

}  // namespace gpumonth::budget
