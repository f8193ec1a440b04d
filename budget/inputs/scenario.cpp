#include "budget/inputs/scenario.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <deque>
#include <stdexcept>

#include "base/error.h"
#include "base/number_text.h"
#include "base/shipped.h"

namespace gpumonth::budget {
namespace {

constexpr double kUnset = std::numeric_limits<double>::quiet_NaN();

/// A number as the file writes it.
struct RawNumber {
  const ScenarioKey* key = nullptr;
  double value = kUnset, low = kUnset, median = kUnset, high = kUnset;
  std::string unit = {}, tag = {}, source = {}, distribution = {};
  std::string override_text = {};  // the --set that changed it, empty for none
};

/// Tables that can be taken from a file that scenarios share: [goodput] from = "../published/goodput.toml".
constexpr std::array kSharedTables = {"scaling", "batch", "goodput", "cost", "utilisation"};

struct Raw {
  std::array<std::string, kSharedTables.size()> from;
  std::deque<RawNumber> numbers;  // addresses stay valid: the config table points into them
  std::string model_tag, model_source;
  config::Table root;
};

config::Field field_of(const ScenarioKey& key) {
  return {.unit = key.unit,
          .min = key.min,
          .max = key.max,
          .help = key.help,
          .slips = {key.slips.begin(), key.slips.end()}};
}

void declare_number(config::Table& root, RawNumber& raw) {
  const std::string key = raw.key->key;
  const auto dot = key.find('.');
  config::Table& table = root.table(key.substr(0, dot)).table(key.substr(dot + 1));
  const config::Field number = field_of(*raw.key);
  table.field("value", raw.value, number);
  table.field("low", raw.low, number);
  table.field("median", raw.median, number);
  table.field("high", raw.high, number);
  table.field("unit", raw.unit, {.one_of = {raw.key->unit}, .help = "unit of the number"});
  table.field(
      "tag", raw.tag,
      {.one_of = {"measured", "published", "fitted", "simulated", "assumed"}, .help = "where the number comes from"});
  table.field("source", raw.source, {.help = "who says so"});
  table.field("distribution", raw.distribution,
              {.one_of = shape_names(), .help = "of the range; left out: log-normal, of shares logit-normal"});
}

void declare_plan(config::Table& table, MemoryPlan& plan) {
  table.field("sharding", plan.sharding,
              {.one_of = {"auto", "none", "optimizer", "full"},
               .help = "what the GPUs split among them; auto: the least that fits in the memory"});
  table.field("recompute", plan.recompute, {.help = "activations inside blocks are computed a second time"});
  table.field("replica_gpus", plan.replica_gpus,
              {.unit = "GPU", .min = 1, .max = 4096, .help = "GPUs that split the tokens of the same samples"});
  table.field("batch_per_replica", plan.batch_per_replica,
              {.unit = "samples", .min = 1, .max = 1e6, .help = "samples per step of these GPUs"});
  table.field("memory_reserve", plan.memory_reserve,
              {.min = 0,
               .max = 0.9,
               .help = "share of the memory for libraries, communication, fragmentation",
               .slips = {0.01}});
}

void declare_curve(config::Table& table, CurveReference& curve) {
  table.field("curve", curve.file, {.help = "CSV of a published scaling curve, relative to this file"});
  table.field("source", curve.choice,
              {.one_of = {"auto", "runs", "curve"},
               .help = "what efficiency on many GPUs is taken from; auto: run logs, to 64 times their ranks"});
  table.field("curve_name", curve.name, {.help = "which curve of the CSV, where it holds several"});
}

void declare(Raw& raw, Scenario& scenario) {
  raw.root.field("title", scenario.title, {.help = "one line"});
  raw.root.field("summary", scenario.summary, {.help = "what is estimated, and who did"});
  raw.root.table("outputs").field("image_name", scenario.image_name, {.help = "what an image is called"});
  raw.root.table("outputs").field("clip_name", scenario.clip_name, {.help = "what a clip is called"});
  model::declare(raw.root.table("hardware"), scenario.hardware);
  model::declare(raw.root.table("model"), scenario.model);
  raw.root.table("model_source")
      .field("tag", raw.model_tag, {.one_of = {"published", "assumed"}, .help = "how sure the model's shape is"});
  raw.root.table("model_source").field("source", raw.model_source, {.help = "who says that this is the model"});
  declare_plan(raw.root.table("plan"), scenario.plan);
  declare_curve(raw.root.table("scaling"), scenario.curve);
  for (std::size_t i = 0; i < kSharedTables.size(); ++i)
    raw.root.table(kSharedTables[i]).field("from", raw.from[i], {.help = "a file whose table of this name is taken"});
  for (const auto& key : scenario_keys()) {
    raw.numbers.push_back({.key = &key});
    declare_number(raw.root, raw.numbers.back());
  }
}

double parse_double(std::string_view text, const std::string& override_text) {
  const auto value = parse_number(text);
  if (!value)
    user_error("--set {}: '{}' is not a number: write KEY=5, or KEY=3..6 for a range{}", override_text, text,
               text.find(',') == std::string::npos ? "" : ", with a decimal point and nothing between thousands");
  return *value;
}

/// "4" or "4..10".
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

/// Takes the overrides that name a number in short out of the list; marks every number that any of them changes.
std::vector<std::string> take_short_overrides(Raw& raw, const std::vector<std::string>& overrides,
                                              std::vector<std::pair<RawNumber*, std::string>>& shorts) {
  std::vector<std::string> rest;
  for (const auto& text : overrides) {
    const std::string key = text.substr(0, text.find('='));
    bool is_short = false;
    for (auto& number : raw.numbers) {
      const std::string own = number.key->key;
      if (key == own + ".value" || key == own + ".low" || key == own + ".high") number.override_text = text;
      if (key != own || key.size() == text.size()) continue;
      number.override_text = text;
      shorts.emplace_back(&number, text.substr(key.size() + 1));
      is_short = true;
    }
    if (!is_short) rest.push_back(text);
  }
  return rest;
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

/// The file's number, checked; `overrides` may replace a range by a value and the other way round.
Input resolve(const RawNumber& raw, const std::string& file) {
  const std::string key = raw.key->key;
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

bool is_given(const RawNumber& raw) {
  return std::isfinite(raw.value) || std::isfinite(raw.low) || std::isfinite(raw.high) || !raw.unit.empty() ||
         !raw.source.empty();
}

Input plain_input(const std::string& key, double value, const char* unit, Tag tag, const std::string& source) {
  Number number = exactly(value, unit);
  number.tag = tag;
  number.inputs = {key};
  return {number, source, budget::distribution_of(value, value, 0, value)};
}

/// The device and the model are inputs like every other number, with the tag of their own table.
void add_hardware_and_model(Scenario& s, const Raw& raw, const std::vector<std::string>& overrides) {
  if (!std::isfinite(s.hardware.peak_flops_per_s) || s.hardware.name.empty())
    user_error("{}: [hardware] is incomplete: add from = \"../hardware/h100-sxm.toml\"", s.path);
  if (raw.model_source.empty() || raw.model_tag.empty())
    user_error("{}: [model_source] is incomplete: add tag and source, who says that this is the model", s.path);
  Tag tag = Tag::published;
  std::string source = s.hardware.source;
  Tag model_tag = parse_tag(raw.model_tag);
  std::string model_source = raw.model_source;
  for (const auto& text : overrides) {
    if (text.starts_with("hardware.")) tag = Tag::assumed, source = "--set " + text;
    if (text.starts_with("model.")) model_tag = Tag::assumed, model_source = "--set " + text;
  }
  const auto add = [&](const char* key, double value, const char* unit) {
    if (std::isfinite(value)) s.inputs[key] = plain_input(key, value, unit, tag, source);
  };
  add("hardware.peak_flops_per_s", s.hardware.peak_flops_per_s, "FLOP/s");
  add("hardware.power_w", s.hardware.power_w, "W");
  s.inputs["model"] = plain_input("model", 1, "1", model_tag, model_source);
}

/// A curve's path counts from the scenario, where it is not found there from the working folder (--set).
void find_curve(Scenario& s) {
  namespace fs = std::filesystem;
  if (s.curve.file.empty()) return;
  const fs::path beside = (fs::path(s.path).parent_path() / s.curve.file).lexically_normal();
  if (fs::path(s.curve.file).is_relative() && (fs::exists(beside) || !fs::exists(s.curve.file)))
    s.curve.file = beside.string();
  if (!fs::exists(s.curve.file))
    user_error("{}: scaling.curve: no such file {}: give the path of a CSV, relative to the scenario", s.path,
               s.curve.file);
}

/// A clip's latent frames are the model's frames.
void set_frames(Scenario& s) {
  if (!s.has_all({"video.clip_length", "video.frame_rate", "video.temporal_compression"})) return;
  const Number frames = s.at("video.clip_length") * s.at("video.frame_rate") / s.at("video.temporal_compression");
  const double rounded = std::round(frames.low);
  if (frames.is_range() || std::abs(frames.low - rounded) > 1e-6 || rounded < 1 || rounded > 1e6)
    user_error(
        "{}: video.clip_length x frame_rate / temporal_compression = {:g} latent frames: it must be one "
        "whole "
        "number",
        s.path, frames.low);
  s.model.frames = static_cast<int>(rounded);
}

}  // namespace

bool Scenario::has_all(std::initializer_list<const char*> keys) const {
  return std::all_of(keys.begin(), keys.end(), [this](const char* key) { return has(key); });
}

Number Scenario::at(const std::string& key) const {
  const auto found = inputs.find(key);
  if (found != inputs.end()) return found->second.number;
  const auto keys = scenario_keys();
  if (std::none_of(keys.begin(), keys.end(), [&](const ScenarioKey& k) { return key == k.key; }))
    throw std::logic_error("no such scenario key: " + key);
  return {};
}

Scenario load_scenario(const std::filesystem::path& named, const std::vector<std::string>& overrides) {
  const std::filesystem::path file = shipped_file(named);
  Scenario scenario;
  scenario.path = file.string();
  Raw raw;
  declare(raw, scenario);
  std::vector<std::pair<RawNumber*, std::string>> shorts;
  config::load(raw.root, file, take_short_overrides(raw, overrides, shorts));
  for (auto& [number, text] : shorts) apply_short(*number, text);
  for (const auto& number : raw.numbers) {
    if (is_given(number))
      scenario.inputs[number.key->key] = resolve(number, scenario.path);
    else if (number.key->required)
      user_error("{}: {} is missing ({}, {})", scenario.path, number.key->key, number.key->help, number.key->unit);
  }
  add_hardware_and_model(scenario, raw, overrides);
  set_frames(scenario);
  find_curve(scenario);
  model::validate(scenario.model);
  return scenario;
}

}  // namespace gpumonth::budget
