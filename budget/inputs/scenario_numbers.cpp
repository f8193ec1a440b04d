#include "budget/inputs/scenario_numbers.h"

#include <array>
#include <cmath>
#include <stdexcept>

#include "base/error.h"
#include "base/number_text.h"

namespace gpumonth::budget {
namespace {

config::Field field_of(const ScenarioKey& key) {
  return {.unit = key.unit,
          .min = key.min,
          .max = key.max,
          .help = key.help,
          .slips = {key.slips.begin(), key.slips.end()}};
}

double parse_double(std::string_view text, const std::string& override_text) {
  const auto value = parse_number(text);
  if (!value)
    user_error("--set {}: '{}' is not a number: write KEY=5, or KEY=3..6 for a range{}", override_text, text,
               text.find(',') == std::string::npos ? "" : ", with a decimal point and nothing between thousands");
  return *value;
}

/// What the Monte Carlo draws; an override without a median of its own has none.
Distribution distribution_of(const RawNumber& raw, const Number& number, const std::string& where) {
  const bool short_form = !raw.override_text.empty();
  try {
    return budget::distribution_of(number.low, short_form ? kUnset : raw.median, number.high, raw.key->min,
                                   raw.key->max, raw.distribution);
  } catch (const std::invalid_argument& error) {
    user_error("{}: {}", where, error.what());
  }
}

}  // namespace

void declare_number(config::Table& table, RawNumber& raw) {
  const config::Field number = field_of(*raw.key);
  table.field("value", raw.value, number);
  table.field("low", raw.low, number);
  table.field("median", raw.median, number);
  table.field("high", raw.high, number);
  table.field("unit", raw.unit, {.one_of = {raw.key->unit}, .help = "unit of the number"});
  table.field("tag", raw.tag,
              {.one_of = {"measured", "replayed", "published", "fitted", "simulated", "assumed"},
               .help = "where the number comes from"});
  table.field("source", raw.source, {.help = "who says so"});
  table.field("distribution", raw.distribution,
              {.one_of = shape_names(), .help = "of the range; left out: log-normal, of shares logit-normal"});
}

void apply_short(RawNumber& raw, std::string_view text) {
  const auto dots = text.find("..");
  raw.value = kUnset;
  raw.low = parse_double(text.substr(0, dots), raw.override_text);
  raw.high = dots == std::string::npos ? raw.low : parse_double(text.substr(dots + 2), raw.override_text);
  for (const double end : {raw.low, raw.high}) {
    if (raw.key->min <= end && end <= raw.key->max) continue;
    const std::string meant = config::likely_meant(end, field_of(*raw.key));
    user_error("--set {}: {} {} is out of range ({}){}, it must lie in {:g} .. {:g}", raw.override_text, end,
               raw.key->unit, raw.key->help, meant.empty() ? "" : ": " + meant, raw.key->min, raw.key->max);
  }
}

bool is_given(const RawNumber& raw) {
  return std::isfinite(raw.value) || std::isfinite(raw.low) || std::isfinite(raw.high) || !raw.unit.empty() ||
         !raw.source.empty();
}

/// The file's number, checked; `overrides` may replace a range by a value and the other way round.
Input resolve(const RawNumber& raw, const std::string& file) {
  const std::string& key = raw.name;
  const bool changed = !raw.override_text.empty();
  const bool has_value = std::isfinite(raw.value);
  const bool has_range = std::isfinite(raw.low) || std::isfinite(raw.high);
  if (has_value && has_range && !changed)
    user_error("{}: {} has a value and a range: give 'value', or 'low' and 'high'", file, key);
  const bool value_wins = has_value && (!has_range || raw.override_text.starts_with(key + ".value="));
  Number number;
  number.low = value_wins || !std::isfinite(raw.low) ? raw.value : raw.low;
  number.high = value_wins || !std::isfinite(raw.high) ? raw.value : raw.high;
  if (!number.known()) user_error("{}: {} needs 'value', or both 'low' and 'high'", file, key);
  if (number.low > number.high)
    user_error("{}: {}: low = {:g} is above high = {:g}: swap them", file, key, number.low, number.high);
  if (raw.key->is_whole())
    for (const double end : {number.low, number.high})
      if (end != std::floor(end))
        user_error("{}: {} = {} {}: a whole number is asked for, give {} or {}",
                   changed ? "--set " + raw.override_text : file, key, end, raw.key->unit, std::floor(end),
                   std::ceil(end));
  number.unit = raw.key->unit;
  number.inputs = {key};
  if (changed) {
    number.tag = Tag::assumed;
    const std::string where = "--set " + raw.override_text;
    return {number, where, distribution_of(raw, number, where)};
  }
  if (raw.unit.empty()) user_error("{}: {} has no unit: add unit = \"{}\"", file, key, raw.key->unit);
  if (raw.tag.empty() || raw.source.empty())
    user_error("{}: {} has no {}: add {}", file, key, raw.tag.empty() ? "tag" : "source",
               raw.tag.empty() ? "tag = \"published\" or \"assumed\"" : "source = \"who says so\"");
  number.tag = parse_tag(raw.tag);
  return {number, raw.source, distribution_of(raw, number, file + ": " + key)};
}

}  // namespace gpumonth::budget
