#include "budget/inputs/scenario_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <limits>

#include "base/error.h"
#include "base/format.h"
#include "model/parameters.h"

namespace gpumonth::budget {
namespace {

Patching patching_of(const Scenario& s) {
  const auto fixed = [&](const char* key) {
    if (!s.has(key)) return 1.0;
    if (s.at(key).is_range())
      user_error("{}: {} is a range, and data.curriculum needs one value: give value = {:g}", s.path, key,
                 s.at(key).low);
    return s.at(key).low;
  };
  if (!s.has("video.spatial_compression"))
    user_error(
        "{}: data.curriculum needs video.spatial_compression, pixels per latent pixel along an edge: add it to [video]",
        s.path);
  return {fixed("video.spatial_compression") * s.model.patch_size,
          fixed("video.temporal_compression") * s.model.temporal_patch_size};
}

/// Of which the laws speak: what the scenario says, else the model's own count.
Number parameters_of(const Scenario& s) {
  if (s.has("training.parameters")) return s.at("training.parameters");
  return s.at("model") * static_cast<double>(model::ParameterTable(s.model).count());
}

void add_optimal_tokens(Scenario& s) {
  const Number parameters = parameters_of(s);
  Number tokens = exactly(0, "token");
  tokens.low = std::numeric_limits<double>::infinity();
  tokens.tag = parameters.tag;
  tokens.inputs = {"data.optimal_tokens"};
  std::string source;
  for (const auto& law : s.laws) {
    const double low = law.optimal_tokens(parameters.low), high = law.optimal_tokens(parameters.high);
    tokens.low = std::min(tokens.low, low);
    tokens.high = std::max(tokens.high, high);
    tokens.tag = std::max(tokens.tag, parse_tag(law.tag));
    source += fmt::format("{}{}: {} ({})", source.empty() ? "" : "; ", law.name,
                          low == high ? scientific(low) : scientific(low) + " .. " + scientific(high), law.source);
  }
  const ScenarioKey& key = *scenario_key("data.optimal_tokens");
  s.inputs["data.optimal_tokens"] = {tokens,
                                     fmt::format("at {} parameters: {}", range_text(parameters, compact), source),
                                     budget::distribution_of(tokens.low, tokens.high, key.min, key.max)};
}

/// As for the model's own samples: counts are int64, and beyond them is a typo.
void check_countable(const Scenario& s, const Stage& stage) {
  const double T = static_cast<double>(stage.tokens), h = s.model.hidden_size, m = s.model.mlp_hidden();
  if (6 * s.model.depth * T * h * (4 * h + 2 * m + 2 * T + 100) > 9.2e18)
    user_error("{}: stage '{}' has {:g} tokens a sample, too many to count: make pixels or frames smaller",
               s.curriculum->path, stage.id, T);
}

void add_curriculum(Scenario& s) {
  s.curriculum = load_curriculum(file_beside(s, s.data.curriculum, "data.curriculum", "curriculum"), patching_of(s));
  for (const auto& stage : s.curriculum->stages) check_countable(s, stage);
  Number number = exactly(1);
  number.tag = parse_tag(s.curriculum->tag);
  number.inputs = {"data.curriculum"};
  s.inputs["data.curriculum"] = {number, s.curriculum->title + ": " + s.curriculum->source,
                                 budget::distribution_of(1, 1, 0, 1)};
}

void check_law_rule(const Scenario& s) {
  if (s.data.rule != "law" || s.has_law()) return;
  if (s.has("training.flop_per_sample"))
    user_error(
        "{}: training.data = \"law\" needs a model that is counted, not training.flop_per_sample: take \"article\"",
        s.path);
  const char* missing = !s.has("data.optimal_tokens") ? "data.laws (or data.optimal_tokens)"
                        : !s.has("data.overtraining") ? "data.overtraining"
                                                      : "data.curriculum";
  user_error(
      "{}: training.data = \"law\" needs {}: add it to [data], as configs/scenarios/sora-2024.toml does, or take "
      "\"article\"",
      s.path, missing);
}

}  // namespace

std::string file_beside(const Scenario& s, const std::string& file, const char* key, const char* what) {
  namespace fs = std::filesystem;
  const fs::path beside = (fs::path(s.path).parent_path() / file).lexically_normal();
  const bool is_beside = fs::path(file).is_relative() && (fs::exists(beside) || !fs::exists(file));
  const std::string found = is_beside ? beside.string() : file;
  if (!fs::exists(found))
    user_error("{}: {}: no such file {}: give the path of a {}, relative to the scenario", s.path, key, found, what);
  return found;
}

void set_data(Scenario& s) {
  const bool counted = !s.has("training.flop_per_sample");
  if (!s.data.laws.empty()) s.laws = load_data_laws(file_beside(s, s.data.laws, "data.laws", "file with [[laws]]"));
  if (!s.laws.empty() && !s.has("data.optimal_tokens") && counted) add_optimal_tokens(s);
  if (!s.data.curriculum.empty() && counted) add_curriculum(s);
  check_law_rule(s);
}

}  // namespace gpumonth::budget
