// Loss against compute for programs; laws[] is what a scenario's data.laws takes (budget/inputs/data_laws.h).
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/format.h"
#include "scaling/loss/loss_fit.h"

namespace gpumonth::scaling {
namespace {

Json estimate_json(const LossEstimate& e) {
  Json json = Json::object();
  for (const auto& [key, value] : {std::pair{"value", e.value}, {"low", e.low}, {"high", e.high}})
    if (std::isfinite(value)) json[key] = value;
  return json;
}

Json run_json(const LossRun& run) {
  return {{"run", run.name},
          {"parameters", run.parameters},
          {"samples", run.samples},
          {"tokens", run.tokens},
          {"model_flops", run.model_flops},
          {"loss", run.loss},
          {"standard_error", std::isfinite(run.standard_error) ? run.standard_error : 0.0}};
}

Json runs_json(const LossFit& fit) {
  Json all = Json::array();
  for (const auto& run : fit.data.runs) {
    Json json = run_json(run);
    json["law"] = fit.fitted.law.loss(run.parameters, run.tokens);
    all.push_back(json);
  }
  return all;
}

Json split_json(const SplitEstimates& s) {
  return {{"n_scale", s.split.n_scale},
          {"n_exponent", estimate_json(s.n_exponent)},
          {"d_scale", s.split.d_scale},
          {"d_exponent", estimate_json(s.d_exponent)}};
}

Json budgets_json(const LossFit& fit) {
  Json all = Json::array();
  for (const auto& b : fit.budgets) {
    Json json{{"model_flops", b.budget.model_flops}, {"sizes", b.budget.sizes}, {"inside", b.budget.inside}};
    if (b.budget.inside) {
      json["parameters"] = estimate_json(b.parameters);
      json["tokens"] = estimate_json(b.tokens);
      json["loss"] = estimate_json(b.loss);
    }
    all.push_back(json);
  }
  return all;
}

Json held_out_json(const HeldOut& held_out) {
  Json rows = Json::array();
  for (const auto& row : held_out.runs) {
    Json json = run_json(row.run);
    json["forecast"] = row.forecast.value;
    json["low"] = row.forecast.low;
    json["high"] = row.forecast.high;
    json["error"] = row.error;
    json["inside"] = row.inside;
    rows.push_back(json);
  }
  return {{"what", held_out.what}, {"law_of_runs", held_out.law_of}, {"rows", rows}};
}

/// One entry of laws[], in the keys of configs/published/data-laws.toml.
Json law_entry(const LossFit& fit, const char* id, const char* title, const OptimalSplit& split) {
  const auto [least, most] = std::ranges::minmax_element(fit.data.runs, {}, &LossRun::parameters);
  const auto [from, to] = std::ranges::minmax_element(fit.data.runs, {}, &LossRun::model_flops);
  return {{"id", id},
          {"name", title},
          {"tag", "fitted"},
          {"source",
           fmt::format("gpumonth fit --loss: {} runs of {} .. {} parameters, {} .. {} FLOP, {} loss; says nothing of "
                       "other data, and larger models are an extrapolation",
                       fit.data.runs.size(), compact(least->parameters), compact(most->parameters),
                       scientific(from->model_flops), scientific(to->model_flops), name(fit.data.kind))},
          {"n_scale", split.n_scale},
          {"n_exponent", split.n_exponent},
          {"d_scale", split.d_scale},
          {"d_exponent", split.d_exponent}};
}

bool can_be_law(const OptimalSplit& s) {
  return s.n_scale > 0 && s.n_exponent > 0 && s.d_scale > 0 && s.d_exponent > 0 && std::isfinite(s.n_scale) &&
         std::isfinite(s.d_scale);
}

}  // namespace

Json to_json(const LossFit& fit) {
  Json notes = fit.notes;
  if (fit.notes.empty()) notes = Json::array();
  Json json{{"loss", name(fit.data.kind)}, {"runs", runs_json(fit)}};
  json["law"] = {{"form", "L(N, D) = E + A / N^a + B / D^b"}, {"E", estimate_json(fit.law.floor)},
                 {"A", estimate_json(fit.law.n_scale)},       {"a", estimate_json(fit.law.n_exponent)},
                 {"B", estimate_json(fit.law.d_scale)},       {"b", estimate_json(fit.law.d_exponent)},
                 {"scatter", fit.fitted.scatter()},           {"scatter_between", fit.fitted.between}};
  json["flops"] = {{"form", "C = scale N^exponent D"}, {"scale", fit.flops.scale}, {"exponent", fit.flops.exponent}};
  json["optimum"] = Json::object();
  if (can_be_law(fit.by_law.split)) json["optimum"]["by_law"] = split_json(fit.by_law);
  if (can_be_law(fit.by_parabolas.split))
    json["optimum"]["by_parabolas"] = split_json(fit.by_parabolas);
  else
    notes.push_back(
        "optimum.by_parabolas: fewer than two budgets have their lowest loss inside, or it does not grow with them");
  json["isoflop"] = budgets_json(fit);
  json["hold_out"] = Json::array();
  for (const auto& held_out : fit.held_out) json["hold_out"].push_back(held_out_json(held_out));
  json["laws"] = Json::array();
  if (can_be_law(fit.by_law.split))
    json["laws"].push_back(law_entry(fit, "fitted-law", "fitted, L(N, D)", fit.by_law.split));
  if (can_be_law(fit.by_parabolas.split))
    json["laws"].push_back(law_entry(fit, "fitted-isoflop", "fitted, isoFLOP", fit.by_parabolas.split));
  json["notes"] = notes;
  return json;
}

}  // namespace gpumonth::scaling
