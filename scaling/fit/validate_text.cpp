#include <fmt/format.h>

#include <cmath>

#include "scaling/fit/validate.h"

namespace gpumonth::scaling {
namespace {

std::string cell(double value) {
  if (!std::isfinite(value)) return "n/a";
  return value < 1e4 ? fmt::format("{:.2f}", value) : fmt::format("{:.0e}", value);
}

Json to_json(const Score& s, Json& notes) {
  Json json;
  json["median_error_percent"] = s.median_error;
  json["mean_error_percent"] = s.mean_error;
  json["worst_error_percent"] = s.worst_error;
  const std::string why = "too few forecasts of other curves for a baseline's interval";
  set_if_finite(json, "coverage", s.coverage, notes, why);
  set_if_finite(json, "median_width_percent", s.median_width, notes, why);
  set_if_finite(json, "interval_score_percent", s.interval_score, notes, why);
  return json;
}

std::string families_text(const Validation& v) {
  if (v.families < 3) return "";
  std::string text = fmt::format("\nOurs less theirs, 90 % by resampling the {} families:\n", v.families);
  for (int m = 1; m < kMethods; ++m) {
    const PairedDifference &e = v.mean_error[m], &s = v.interval_score[m];
    text += fmt::format("{:<14} mean error {} ({} .. {})", method_name(m), cell(e.value), cell(e.low), cell(e.high));
    if (std::isfinite(s.value)) text += fmt::format(", score {} ({} .. {})", cell(s.value), cell(s.low), cell(s.high));
    text += "\n";
  }
  return text;
}

std::string false_batch_text(const Validation& v) {
  if (v.false_batch.empty()) return "";
  std::string text = fmt::format(
      "\nCurves whose batch never changes, given a false one; their throughput is left as it is:\n"
      "{:<36}{:>4}{:>8}{:>8}{:>10}{:>9}\n",
      "batch per rank", "n", "median", "mean", "coverage", "score");
  for (const auto& f : v.false_batch)
    text += fmt::format("{:<36}{:>4}{:>8}{:>8}{:>8.1f} %{:>9}\n", f.column, f.forecasts, cell(f.score.median_error),
                        cell(f.score.mean_error), 100 * f.score.coverage, cell(f.score.interval_score));
  return text;
}

}  // namespace

std::string to_text(const Validation& v) {
  std::string text = fmt::format(
      "Rolling-origin validation: {} forecasts. Errors, widths and scores in per cent of the measured "
      "throughput.\n\n"
      "{:<26}{:>4}  {:<14}{:>8}{:>8}{:>8}{:>10}{:>9}{:>9}\n{:-<96}\n",
      v.forecasts.size(), "class", "n", "method", "median", "mean", "worst", "coverage", "width", "score", "");
  for (const auto& c : v.classes)
    for (int m = 0; m < kMethods; ++m) {
      const Score& s = c.method[m];
      text += fmt::format("{:<26}{:>4}  {:<14}{:>8}{:>8}{:>8}{:>10}{:>9}{:>9}\n", m ? "" : c.name,
                          m ? "" : std::to_string(c.forecasts), method_name(m), cell(s.median_error),
                          cell(s.mean_error), cell(s.worst_error),
                          std::isfinite(s.coverage) ? fmt::format("{:.1f} %", 100 * s.coverage) : "n/a",
                          cell(s.median_width), cell(s.interval_score));
    }
  text +=
      "\nEvery curve is cut after its third, fourth, ... rank count and all later points are forecast from "
      "those before;"
      "\nno parameter is fitted to them. width: median of the 90 % intervals; score: interval score, smaller "
      "is "
      "better."
      "\nBaselines have no interval of their own: theirs comes from their errors on the other curves.\n";
  text += families_text(v) + false_batch_text(v);
  for (const auto& note : v.notes) text += fmt::format("note: {}\n", note);
  return text;
}

Json to_json(const Validation& v) {
  Json json, notes = Json::array();
  json["classes"] = Json::array();
  for (const auto& c : v.classes) {
    Json entry;
    entry["class"] = c.name;
    entry["forecasts"] = c.forecasts;
    for (int m = 0; m < kMethods; ++m) entry["methods"][method_name(m)] = to_json(c.method[m], notes);
    json["classes"].push_back(entry);
  }
  for (int m = 1; m < kMethods && v.families >= 3; ++m) {
    const auto put = [&](const char* what, const PairedDifference& d) {
      if (std::isfinite(d.value))
        json["ours_less_theirs"][method_name(m)][what] = {{"value", d.value}, {"low", d.low}, {"high", d.high}};
    };
    put("mean_error_percent", v.mean_error[m]);
    put("interval_score_percent", v.interval_score[m]);
  }
  for (const auto& f : v.false_batch) {
    Json entry = to_json(f.score, notes);
    entry["column"] = f.column;
    entry["forecasts"] = f.forecasts;
    json["false_batch"].push_back(entry);
  }
  json["forecasts"] = Json::array();
  for (const auto& f : v.forecasts) {
    Json entry{{"curve", f.curve}, {"ranks_train", f.ranks_train}, {"ranks", f.ranks}, {"measured", f.measured}};
    if (std::isfinite(f.batch_per_rank)) entry["batch_per_rank"] = f.batch_per_rank;
    for (int m = 0; m < kMethods; ++m) {
      Json value{{"samples_per_s", f.method[m].value}};
      if (std::isfinite(f.method[m].low)) value["low"] = f.method[m].low, value["high"] = f.method[m].high;
      entry["methods"][method_name(m)] = value;
    }
    json["forecasts"].push_back(entry);
  }
  for (const auto& note : v.notes) notes.push_back(note);
  json["notes"] = notes;
  return json;
}

}  // namespace gpumonth::scaling
