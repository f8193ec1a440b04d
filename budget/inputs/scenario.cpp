#include "budget/inputs/scenario.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <deque>
#include <functional>
#include <iterator>
#include <stdexcept>

#include "base/error.h"
#include "base/shipped.h"
#include "budget/inputs/scenario_data.h"
#include "budget/inputs/scenario_numbers.h"

namespace gpumonth::budget {
namespace {

/// Tables that can be taken from a file that scenarios share: [goodput] from = "../published/goodput.toml".
constexpr std::array kSharedTables = {"scaling", "batch", "goodput", "cost", "utilisation", "data"};

/// What a scenario may have several of.
struct ListKind {
  const char* name;
  std::vector<ListEntry> Scenario::*entries;
  const char* help;
  const char* formerly;
};
constexpr std::array kLists = {ListKind{"uploads", &Scenario::uploads, "a platform with what is uploaded to it",
                                        "its generated_share was a share in [demand]"},
                               ListKind{"outputs", &Scenario::outputs, "a language model to compare with",
                                        "image_name and clip_name stand in [inference]"}};

struct RawEntry {
  std::string id, name;
  std::deque<RawNumber> numbers;
};

/// Addresses stay valid: the config table points into the deques.
struct Raw {
  std::array<std::string, kSharedTables.size()> from;
  std::deque<RawNumber> numbers;
  std::array<std::deque<RawEntry>, kLists.size()> lists;
  std::string model_tag, model_source;
  config::Table root;
};

bool is_in_list(const ScenarioKey& key) { return std::string_view(key.key).find('*') != std::string_view::npos; }

void declare_entry(config::Table& table, RawEntry& entry, const std::string& list) {
  table.field("id", entry.id, {.help = "its name in the JSON and for --set"});
  table.field("name", entry.name, {.help = "its name for people; left out: the id"});
  const std::string path = list + ".*.";
  for (const auto& key : scenario_keys()) {
    if (!std::string_view(key.key).starts_with(path)) continue;
    entry.numbers.push_back({.key = &key});
    declare_number(table.table(std::string(key.key).substr(path.size())), entry.numbers.back());
  }
}

void declare_plan(config::Table& table, MemoryPlan& plan) {
  table.field("sharding", plan.sharding,
              {.one_of = {"auto", "none", "optimizer", "full"},
               .help = "what the GPUs split among them; auto: the least that fits in the memory"});
  table.field(
      "recompute", plan.recompute,
      {.one_of = {"none", "linear", "full"},
       .same_as = {{"true", "full"}, {"false", "none"}},
       .help = "what backward computes again: linear: all but attention, whose outputs are kept; full: whole blocks"});
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

void declare_data(config::Table& root, DataReference& data) {
  root.table("training")
      .field("data", data.rule,
             {.one_of = {"article", "law"},
              .help = "what the budget trains on; article: the samples said here; law: the tokens of [data]"});
  root.table("data").field("laws", data.laws, {.help = "file of scaling laws, relative to this file"});
  root.table("data").field("curriculum", data.curriculum, {.help = "file of stages, relative to this file"});
}

/// What a back-test learns from, and what it leaves out.
void declare_bill(config::Table& root, Scenario& scenario) {
  root.table("utilisation")
      .field(
          "class", scenario.utilisation_class,
          {.one_of = {"", "large", "text", "media"},
           .help = "of whose bills published_mfu was learned; large: on 1,000 devices or more; text, media: on fewer"});
  root.table("disclosed")
      .field("family", scenario.family, {.help = "whose training it is: no bill of the same family predicts it"});
  root.table("disclosed")
      .field("bill", scenario.bill,
             {.one_of = {"run", "steps", "estimate"},
              .help = "what gpu_hours are; run: the training with its stops; steps: time of steps alone; estimate: of "
                      "others than those who trained"});
}

void declare(Raw& raw, Scenario& scenario) {
  raw.root.field("title", scenario.title, {.help = "one line"});
  raw.root.field("summary", scenario.summary, {.help = "what is estimated, and who did"});
  raw.root.table("inference").field("image_name", scenario.image_name, {.help = "what an image is called"});
  raw.root.table("inference").field("clip_name", scenario.clip_name, {.help = "what a clip is called"});
  raw.root.table("demand").field("printed_by", scenario.printed_by, {.help = "who prints the printed_... numbers"});
  raw.root.table("demand").moved("*_share", "generated_share in the platform's [[uploads]]");
  model::declare(raw.root.table("hardware"), scenario.hardware);
  model::declare(raw.root.table("model"), scenario.model);
  raw.root.table("model_source")
      .field("tag", raw.model_tag, {.one_of = {"published", "assumed"}, .help = "how sure the model's shape is"});
  raw.root.table("model_source").field("source", raw.model_source, {.help = "who says that this is the model"});
  declare_plan(raw.root.table("plan"), scenario.plan);
  declare_curve(raw.root.table("scaling"), scenario.curve);
  declare_data(raw.root, scenario.data);
  declare_bill(raw.root, scenario);
  raw.root.table("utilisation")
      .field("recompute", scenario.utilisation_recompute,
             {.one_of = {"", "none", "linear", "full"},
              .help = "what published_mfu was reached with; left out: what the plan computes again"});
  for (std::size_t i = 0; i < kSharedTables.size(); ++i)
    raw.root.table(kSharedTables[i]).field("from", raw.from[i], {.help = "a file whose table of this name is taken"});
  for (const auto& key : scenario_keys()) {
    if (is_in_list(key)) continue;
    const std::string name = key.key;
    const auto dot = name.find('.');
    raw.numbers.push_back({.key = &key, .name = name});
    declare_number(raw.root.table(name.substr(0, dot)).table(name.substr(dot + 1)), raw.numbers.back());
  }
  for (std::size_t i = 0; i < kLists.size(); ++i)
    raw.root.list(kLists[i].name, raw.lists[i],
                  [list = kLists[i].name](config::Table& table, RawEntry& entry) { declare_entry(table, entry, list); },
                  {.help = kLists[i].help, .formerly = kLists[i].formerly});
}

/// "training.data_factor" of "training.data_factor=5".
std::string key_of(const std::string& override_text) { return override_text.substr(0, override_text.find('=')); }

/// A --set that names a whole number instead of a key in its table: "training.data_factor=5".
bool is_short(const std::string& override_text) {
  const std::string key = key_of(override_text);
  return key.size() < override_text.size() && scenario_key(key) != nullptr;
}

/// Names the entries and their numbers by their ids, and gives all numbers of the scenario.
std::vector<RawNumber*> name_all(Raw& raw, Scenario& scenario) {
  std::vector<RawNumber*> all;
  for (auto& number : raw.numbers) all.push_back(&number);
  for (std::size_t i = 0; i < kLists.size(); ++i)
    for (auto& entry : raw.lists[i]) {
      auto& listed = (scenario.*kLists[i].entries).emplace_back();
      listed = {kLists[i].name, entry.id, entry.name.empty() ? entry.id : entry.name};
      for (auto& number : entry.numbers) {
        number.name = number.key->key;
        number.name.replace(number.name.find('*'), 1, entry.id);
        all.push_back(&number);
      }
    }
  return all;
}

/// The group of outputs has lines of its own, whose names in the JSON are taken.
void check_outputs(const Scenario& scenario) {
  for (const auto& model : scenario.outputs)
    for (const char* own : {"image", "image_counted", "clip", "clip_counted"})
      if (model.id == own)
        user_error("{}: [[outputs]] id = \"{}\" is what the scenario's own output is called: choose another",
                   scenario.path, own);
}

/// For a --set whose number "uploads.ID.video" is of no entry.
[[noreturn]] void no_such_entry(const std::string& override_text, const Scenario& scenario) {
  const std::string key = key_of(override_text);
  const auto first = key.find('.'), last = key.rfind('.');
  const std::string list = key.substr(0, first), id = key.substr(first + 1, last - first - 1);
  std::vector<std::string> known;
  for (const auto& kind : kLists)
    for (const auto& entry : scenario.*kind.entries)
      if (entry.list == list) known.push_back(entry.id);
  const std::string near = config::nearest(id, known);
  user_error("--set {}: [[{}]] has no entry '{}' ({})", override_text, list, id,
             known.empty()  ? "it is empty"
             : near.empty() ? fmt::format("known: {}", fmt::join(known, ", "))
                            : fmt::format("did you mean '{}'?", near));
}

/// Marks every number that an override changes, and applies the short ones.
void apply_overrides(const std::vector<RawNumber*>& numbers, const std::vector<std::string>& overrides,
                     const Scenario& scenario) {
  for (const auto& text : overrides) {
    const std::string key = key_of(text);
    for (auto* number : numbers)
      for (const char* end : {"", ".value", ".low", ".high"})
        if (key == number->name + end) number->override_text = text;
  }
  for (const auto& text : overrides) {
    if (!is_short(text)) continue;
    const std::string key = key_of(text);
    const auto found = std::find_if(numbers.begin(), numbers.end(), [&](const auto* n) { return n->name == key; });
    if (found == numbers.end()) no_such_entry(text, scenario);
    apply_short(**found, text.substr(key.size() + 1));
  }
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

void find_curve(Scenario& s) {
  if (!s.curve.file.empty()) s.curve.file = file_beside(s, s.curve.file, "scaling.curve", "CSV");
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

bool Scenario::has_law() const {
  return curriculum && has_all({"data.optimal_tokens", "data.overtraining"}) && !has("training.flop_per_sample");
}

Number Scenario::at(const std::string& key) const {
  const auto found = inputs.find(key);
  if (found != inputs.end()) return found->second.number;
  if (scenario_key(key) == nullptr) throw std::logic_error("no such scenario key: " + key);
  return {};
}

Scenario load_scenario(const std::filesystem::path& named, const std::vector<std::string>& overrides) {
  const std::filesystem::path file = shipped_file(named);
  Scenario scenario;
  scenario.path = file.string();
  Raw raw;
  declare(raw, scenario);
  std::vector<std::string> long_ones;
  std::copy_if(overrides.begin(), overrides.end(), std::back_inserter(long_ones), std::not_fn(is_short));
  config::load(raw.root, file, long_ones);
  const auto numbers = name_all(raw, scenario);
  check_outputs(scenario);
  apply_overrides(numbers, overrides, scenario);
  for (const auto* number : numbers) {
    if (is_given(*number))
      scenario.inputs[number->name] = resolve(*number, scenario.path);
    else if (number->key->required)
      user_error("{}: {} is missing ({}, {})", scenario.path, number->name, number->key->help, number->key->unit);
  }
  add_hardware_and_model(scenario, raw, overrides);
  set_frames(scenario);
  find_curve(scenario);
  model::validate(scenario.model);
  set_data(scenario);
  return scenario;
}

}  // namespace gpumonth::budget
