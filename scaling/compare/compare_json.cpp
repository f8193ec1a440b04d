// A comparison for programs. rows[] of {ranks, efficiency_a, efficiency_b, difference, low, high} and p_value
// are what others rely on.
#include <cmath>

#include "base/json.h"
#include "scaling/compare/compare.h"

namespace gpumonth::scaling {
namespace {

Json shares_json(const StepShares& shares) {
  Json out = Json::object();
  for (std::size_t s = 0; s < kStepShares; ++s) out[kStepShareKeys[s]] = shares[s];
  return out;
}

Json side_json(const CompareSide& side) {
  Json out{{"runs", side.runs},
           {"samples_per_s_per_rank", side.samples_per_s_per_rank},
           {"efficiency", side.efficiency},
           {"low", side.low},
           {"high", side.high}};
  if (side.step_time_s > 0) out["step_time_s"] = side.step_time_s;
  if (side.shares) out["step_parts_s"] = shares_json(*side.shares);
  return out;
}

Json row_json(const CompareRow& row, Json& notes) {
  Json out{{"ranks", row.ranks}};
  if (!std::isnan(row.batch_per_rank)) out["batch_per_rank"] = row.batch_per_rank;
  out["efficiency_a"] = row.a.efficiency;
  out["efficiency_b"] = row.b.efficiency;
  out["difference"] = row.difference;
  out["low"] = row.low;
  out["high"] = row.high;
  out["baseline"] = row.is_baseline;
  out["baseline_ranks"] = row.baseline_ranks;
  if (!std::isnan(row.baseline_batch)) out["baseline_batch_per_rank"] = row.baseline_batch;
  if (!row.is_baseline) {
    out["p_value"] = row.p_value;
    set_if_finite(out, "smallest_difference", row.smallest_difference, notes, "too few repeats");
  }
  out["throughput"] = {{"ratio", row.throughput_ratio}, {"low", row.ratio_low}, {"high", row.ratio_high}};
  if (row.contributions) out["contributions"] = shares_json(*row.contributions);
  out["a"] = side_json(row.a);
  out["b"] = side_json(row.b);
  return out;
}

Json test_json(const CompareTest& t, Json& notes) {
  Json out{
      {"ratio", t.ratio},   {"low", t.low}, {"high", t.high}, {"p_value", t.p_value}, {"degrees_of_freedom", t.freedom},
      {"level", kTestLevel}};
  set_if_finite(out, "smallest_difference", t.smallest_difference, notes, "too few repeats");
  out["smallest_difference_power"] = kWantedPower;
  out["power_at_3_percent"] = t.power_at_3_percent;
  out["any_pattern"] = {{"p_value", t.any_pattern.p_value},
                        {"f", t.any_pattern.statistic},
                        {"contrasts", t.any_pattern.contrasts},
                        {"degrees_of_freedom", t.any_pattern.freedom}};
  return out;
}

Json set_json(const RunSet& set, const CompareNoise& noise) {
  Json out{{"name", set.name}, {"unit", set.unit}, {"runs", set.runs.size()}};
  if (set.facts) {
    out["model_name"] = set.facts->model_name;
    out["device_name"] = set.facts->device_name;
    out["transport"] = set.facts->transport;
    out["dtype"] = set.facts->dtype;
  }
  Json& n = out["noise"] = {{"run_to_run", noise.run_to_run},
                            {"degrees_of_freedom", noise.freedom},
                            {"tag", noise.source == NoiseSource::measured ? "measured" : "assumed"}};
  if (noise.source == NoiseSource::other_set) n["source"] = "as the other set";
  if (noise.source == NoiseSource::assumed) n["source"] = AssumedNoise::kSource;
  if (!std::isnan(noise.measured.within)) n["within_runs"] = noise.measured.within;
  if (!std::isnan(noise.measured.between)) n["between_runs"] = noise.measured.between;
  return out;
}

}  // namespace

std::string to_json_text(const Comparison& c) {
  Json notes = Json::array();
  Json out{{"a", set_json(c.a, c.noise_a)}, {"b", set_json(c.b, c.noise_b)}, {"confidence", kConfidence}};
  out["p_value"] = c.efficiency.p_value;
  out["rows"] = Json::array();
  for (const auto& row : c.rows) out["rows"].push_back(row_json(row, notes));
  out["efficiency_test"] = test_json(c.efficiency, notes);
  out["throughput_test"] = test_json(c.throughput, notes);
  for (const auto& note : c.notes) notes.push_back(note);
  out["notes"] = notes;
  return gpumonth::to_text(out);
}

}  // namespace gpumonth::scaling
