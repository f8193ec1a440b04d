#include "scaling/fit/fit_json.h"

#include <fmt/format.h>

#include <cmath>

#include "base/error.h"
#include "base/number_text.h"

namespace gpumonth::scaling {
namespace {

constexpr std::size_t kShownPlaces = 40;  // of the curve, in text

double positive(std::string_view text, const std::string& all) {
  const auto value = parse_number(text);
  if (!value || !(*value > 0))
    user_error("--predict {}: '{}' is not a positive number; expected RANKS[:BATCH_PER_RANK],...", all, text);
  return *value;
}

Target parse_target(std::string_view text, const std::string& all) {
  const auto colon = text.find(':');
  const double ranks = positive(text.substr(0, colon), all);
  if (ranks != std::floor(ranks) || ranks > 1e9)
    user_error("--predict {}: '{}' is not a whole number of ranks up to 1e9", all, text.substr(0, colon));
  Target target{static_cast<std::int64_t>(ranks), kUnknownBatch};
  if (colon != std::string_view::npos) target.batch_per_rank = positive(text.substr(colon + 1), all);
  if (target.batch_per_rank > kLargestBatch)
    user_error("--predict {}: a batch per rank of {} cannot be: at most {:g} samples", all, text.substr(colon + 1),
               kLargestBatch);
  return target;
}

/// What a reader of the forecast should know beyond the fit's own notes.
void add_target_notes(const Fit& fit, const std::vector<Target>& targets, std::vector<std::string>& notes) {
  bool given = false, defaulted = false;
  for (const auto& t : targets) {
    (std::isnan(t.batch_per_rank) ? defaulted : given) = true;
  }
  const bool known = has_batch(fit.curve());
  if (given && !known)
    notes.push_back("the curve does not say its batch per rank: the batch in --predict has no effect");
  if (defaulted && known) {
    const std::int64_t most = fit.curve().points.back().ranks;
    const bool fixed = std::abs(fit.default_batch(2 * most) - fit.default_batch(most)) > 1e-9 * fit.default_batch(most);
    notes.push_back(fixed ? "the batch per rank of a forecast without one keeps the curve's global batch"
                          : "the batch per rank of a forecast without one is the one at the most ranks");
  }
}

Json shapes_json(const Fit& fit) {
  Json shapes = Json::array();
  for (const auto& s : fit.shapes()) {
    Json shape{{"shape", name(s.growth)}, {"grows", formula(s.growth)}, {"prior", s.prior}, {"weight", s.weight}};
    if (s.growth != Growth::components) shape["slope_per_doubling"] = s.slope;
    shapes.push_back(shape);
  }
  return shapes;
}

Json batch_json(const Fit& fit) {
  const BatchShare b = fit.batch_share();
  if (!b.known) return {{"known", false}};
  return {{"known", true}, {"none", b.none}, {"low", b.low}, {"median", b.median}, {"high", b.high}};
}

Json suspects_json(const Fit& fit) {
  Json all = Json::array();
  for (const auto& s : fit.suspects()) {
    Json suspect{{"fault", s.is_break ? "break" : "outlier"}, {"ranks", s.ranks}};
    if (s.is_break) suspect["to_ranks"] = s.to_ranks;
    suspect["probability"] = s.probability;
    all.push_back(suspect);
  }
  return all;
}

Json constants_json(const Constants& c) {
  Json json;
  for (const auto& [name, member] : kConstants) json[name] = c.*member;
  return json;
}

Json curve_json(const Fit& fit) {
  const ScalingCurve& curve = fit.curve();
  Json points = Json::array();
  for (const auto& g : fit.measured()) {
    Json point{{"ranks", g.ranks}, {"samples_per_s", g.samples_per_s}, {"repeats", g.repeats}};
    if (std::isfinite(g.batch_per_rank)) point["batch_per_rank"] = g.batch_per_rank;
    if (g.origin) point["origin"] = name(*g.origin);
    points.push_back(point);
  }
  return {{"name", curve.name}, {"unit", curve.unit}, {"source", curve.source}, {"points", points}};
}

/// Said of what was not measured alone.
std::string kind_text(const ScalingGroup& g) {
  return g.origin.value_or(runlog::Origin::measured) == runlog::Origin::measured ? ""
                                                                                 : fmt::format("  {}", name(*g.origin));
}

std::string batch_text(double batch) { return std::isfinite(batch) ? fmt::format("{:g}", batch) : "-"; }

}  // namespace

std::vector<Target> parse_targets(const std::string& text) {
  std::vector<Target> targets;
  for (const auto item : split_list(text, "--predict")) targets.push_back(parse_target(item, text));
  return targets;
}

std::vector<Target> default_targets(const Fit& fit) {
  const std::int64_t most = fit.curve().points.back().ranks;
  return {{2 * most, kUnknownBatch}, {4 * most, kUnknownBatch}, {8 * most, kUnknownBatch}};
}

Json to_json(const Fit& fit, const std::vector<Target>& targets) {
  Json json, predictions = Json::array(), ideal = Json::array();
  for (const auto& t : targets) {
    const Prediction p = fit.predict(t.ranks, t.batch_per_rank);
    Json entry{{"ranks", p.ranks}};
    if (std::isfinite(p.batch_per_rank)) entry["batch_per_rank"] = p.batch_per_rank;
    Json baseline = entry;
    entry["samples_per_s"] = p.samples_per_s;
    entry["low"] = p.low;
    entry["high"] = p.high;
    entry["mean_low"] = p.mean_low;
    entry["mean_high"] = p.mean_high;
    entry["efficiency"] = p.efficiency;
    predictions.push_back(entry);
    baseline["samples_per_s"] = fit.ideal(t.ranks);
    baseline["efficiency"] = fit.efficiency(t.ranks, fit.ideal(t.ranks));
    ideal.push_back(baseline);
  }
  json["predictions"] = predictions;
  json["baseline_ideal"] = ideal;
  json["interval"] = "90 %: low..high of one more measurement, mean_low..mean_high of the mean of many";
  json["curve"] = curve_json(fit);
  json["shapes"] = shapes_json(fit);
  json["noise"] = fit.noise();
  json["discrepancy_per_doubling"] = fit.discrepancy();
  json["batch_share"] = batch_json(fit);
  json["suspects"] = suspects_json(fit);
  json["priors"] = constants_json(fit.constants());
  std::vector<std::string> notes = fit.notes();
  add_target_notes(fit, targets, notes);
  json["notes"] = notes;
  return json;
}

std::string to_text(const Fit& fit, const std::vector<Target>& targets) {
  const ScalingCurve& curve = fit.curve();
  std::string text = fmt::format("Curve {}: {} point{}, {}. Source: {}\n\n{:>8}{:>12}{:>16}{:>14}{:>9}\n{:-<59}\n",
                                 curve.name, curve.points.size(), curve.points.size() == 1 ? "" : "s", curve.unit,
                                 curve.source, "ranks", "batch/rank", curve.unit, "efficiency", "repeats", "");
  const auto& measured = fit.measured();
  for (std::size_t i = 0; i < std::min(measured.size(), kShownPlaces); ++i) {
    const ScalingGroup& g = measured[i];
    text += fmt::format("{:>8}{:>12}{:>16.6g}{:>12.1f} %{:>9}{}\n", g.ranks, batch_text(g.batch_per_rank),
                        g.samples_per_s, 100 * fit.efficiency(g.ranks, g.samples_per_s), g.repeats, kind_text(g));
  }
  if (measured.size() > kShownPlaces) text += fmt::format("... and {} more\n", measured.size() - kShownPlaces);
  text += fmt::format("\n{}", describe(fit));
  text += fmt::format(
      "\nForecast, with the 90 % interval of one more "
      "measurement\n{:>8}{:>12}{:>16}{:>14}{:>14}{:>14}{:>16}\n{:-<94}\n",
      "ranks", "batch/rank", curve.unit, "low", "high", "efficiency", "ideal", "");
  for (const auto& t : targets) {
    const Prediction p = fit.predict(t.ranks, t.batch_per_rank);
    text += fmt::format("{:>8}{:>12}{:>16.6g}{:>14.6g}{:>14.6g}{:>12.1f} %{:>16.6g}\n", p.ranks,
                        batch_text(p.batch_per_rank), p.samples_per_s, p.low, p.high, 100 * p.efficiency,
                        fit.ideal(p.ranks));
  }
  std::vector<std::string> notes = fit.notes();
  add_target_notes(fit, targets, notes);
  for (const auto& note : notes) text += fmt::format("note: {}\n", note);
  return text;
}

}  // namespace gpumonth::scaling
