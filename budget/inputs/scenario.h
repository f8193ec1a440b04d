// A scenario: every assumption of a budget, read from configs/scenarios/*.toml. A number there is a table
//   data_factor = { low = 4, high = 10, unit = "1", tag = "published", source = "..." }
// (or value = ... for a single value); scenario_keys.cpp lists every key with its unit and meaning. What a scenario has
// several of is a list: [[uploads]] with an id, a name and numbers of its own. A range is a 90 % interval for the Monte
// Carlo; median = and distribution = say more about it (budget/inputs/distribution.h).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "budget/inputs/curriculum.h"
#include "budget/inputs/data_laws.h"
#include "budget/inputs/distribution.h"
#include "budget/inputs/memory_plan.h"
#include "budget/inputs/number.h"
#include "model/config.h"
#include "model/hardware.h"

namespace gpumonth::budget {

/// What a scenario may say under one key.
struct ScenarioKey {
  const char* key;   ///< "training.model_factor"; "uploads.*.video" of every entry of a list
  const char* unit;  ///< the unit the file must state
  double min, max;   ///< allowed range, ends included
  bool required;
  bool drawn;  ///< by the Monte Carlo, where it is a range
  const char* help;
  std::span<const double> slips = {};       ///< config::Field's: factors to `unit` from what people type instead
  bool names(std::string_view name) const;  ///< "uploads.ID.video" is one of "uploads.*.video"
  bool is_whole() const { return std::string_view(unit) == "GPU"; }  ///< machines come in whole numbers
};
std::span<const ScenarioKey> scenario_keys();
/// The one that this input falls under; nullptr where there is none.
const ScenarioKey* scenario_key(std::string_view name);

/// An input as the reader of a result sees it.
struct Input {
  Number number;
  std::string source;
  Distribution distribution = {};  ///< what the Monte Carlo draws from
};

/// Where the scaling of a training on many GPUs is read from when there are no run logs of it.
struct CurveReference {
  std::string file;             ///< CSV of scaling/curve_csv.h, relative to the scenario; empty: none
  std::string name;             ///< which curve of the file; may be empty where it holds one
  std::string choice = "auto";  ///< "runs" or "curve" goes first; auto: runs as far as they reach
};

/// What decides how much the model is trained on.
struct DataReference {
  std::string rule = "article";  ///< training.data: "article", the samples of [training]; "law", the tokens of [data]
  std::string laws;              ///< file of budget/inputs/data_laws.h, relative to the scenario; empty: none
  std::string curriculum;        ///< file of budget/inputs/curriculum.h; empty: none
};

/// An entry of a list. Its numbers are inputs like all others: input("video") names the one of its key `video`.
struct ListEntry {
  std::string list, id, name;  ///< "uploads"; in JSON and for --set; for people
  std::string input(const char* key) const { return list + "." + id + "." + key; }
};

struct Scenario {
  std::string path, title, summary;
  std::string image_name = "image of the base model";  ///< what outputs are called: "DiT-XL/2 image",
  std::string clip_name = "clip";                      ///< "Sora 1-min video"
  std::string printed_by = "the publication";          ///< whose numbers demand.printed_... are
  std::vector<ListEntry> uploads;                      ///< platforms, whose uploads outputs are compared with
  std::vector<ListEntry> outputs;                      ///< language models, whose outputs they are compared with
  model::Hardware hardware;
  model::ModelConfig model;             ///< the model that is counted; frames follow from [video]
  std::map<std::string, Input> inputs;  ///< by key; only those that the scenario gives
  MemoryPlan plan;
  std::string utilisation_recompute;  ///< what the published utilisation was reached with; empty: with the plan's
  std::string utilisation_class;      ///< of whose bills published_mfu was learned (budget/bills.h); empty: of none
  std::string family;                 ///< of a recipe: who trained it, of whom no other bill predicts it
  std::string bill = "run";           ///< what disclosed.gpu_hours is: "run", "steps" alone, or an "estimate" of others
  CurveReference curve;
  DataReference data;
  std::vector<DataLaw> laws;             ///< those of data.laws
  std::optional<Curriculum> curriculum;  ///< that of data.curriculum

  bool has(const std::string& key) const { return inputs.contains(key); }
  bool has_all(std::initializer_list<const char*> keys) const;
  bool has_law() const;  ///< whether it says enough for tokens by law, whichever rule is chosen
  bool is_by_law() const { return data.rule == "law"; }  ///< training.data: then it has_law()
  /// The number under `key`; unknown (NaN) where the scenario does not give it. std::logic_error: no such key.
  Number at(const std::string& key) const;
};

/// Reads the file, then the overrides: "training.data_factor.low=3", or in short "training.data_factor=5" and
/// "training.data_factor=3..6". A number that is overridden becomes `assumed`. Throws UserError: unknown key
/// (the nearest is named), another unit, no source, out of range, ends in the wrong order, frames no whole number.
Scenario load_scenario(const std::filesystem::path& file, const std::vector<std::string>& overrides = {});

}  // namespace gpumonth::budget
