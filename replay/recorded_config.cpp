#include "replay/recorded_config.h"

#include <fmt/format.h>

#include <map>
#include <sstream>

#include "base/error.h"
#include "model/parameters.h"

namespace gpumonth::replay {
namespace {

std::string trimmed(const std::string& text) {
  const std::size_t first = text.find_first_not_of(" \t"), last = text.find_last_not_of(" \t\r");
  return first == std::string::npos ? "" : text.substr(first, last - first + 1);
}

/// The lines of `toml`, as config::to_toml writes it, whose keys `root` declares.
std::string declared_lines(const std::string& toml, const config::Table& root) {
  const std::map<std::string, std::string> known = config::values(root);
  std::istringstream lines(toml);
  std::string kept, table, line;
  while (std::getline(lines, line)) {
    const std::string text = trimmed(line);
    if (text.starts_with("[")) {
      table = text.substr(1, text.find(']') - 1);
      const auto first = known.lower_bound(table + ".");
      if (first != known.end() && first->first.starts_with(table + ".")) kept += text + "\n";
    } else if (known.contains(table + "." + trimmed(text.substr(0, text.find('='))))) {
      kept += text + "\n";
    }
  }
  return kept;
}

}  // namespace

RecordedConfig recorded_config(const runlog::Run& run) {
  RecordedConfig c;
  config::Table root;
  model::declare(root.table("model"), c.model);
  root.table("run").field("name", c.name);
  root.table("run").field("recompute", c.recompute,
                          {.one_of = {"none", "linear", "full"}, .same_as = {{"true", "full"}, {"false", "none"}}});
  root.table("objective").field("kind", c.objective, {.one_of = {"diffusion", "consistency"}});
  root.table("objective").field("guidance", c.guidance, {.min = 0, .max = 1e4});
  root.table("comm").field("bucket_mib", c.bucket_mib, {.min = 0.001, .max = 16384});
  root.table("comm").field("wire", c.wire, {.one_of = {"fp32", "bf16"}});
  root.table("comm").field("sharding", c.sharding, {.one_of = {"none", "optimizer", "full"}});
  root.table("comm").field("shard_group", c.shard_group, {.min = 0});
  root.table("run").field("sequence_parallel", c.sequence_parallel, {.min = 1});
  root.table("batch").field("accumulate", c.accumulate, {.min = 1});
  const std::string text = declared_lines(run.info.config_toml, root);
  if (text.find("[model]\n") == std::string::npos)
    user_error(
        "{}: its config_toml has no [model], so the sizes of its gradients are not known: replay a log of "
        "gpumonth train",
        run.path);
  config::load_text(root, text, run.path + ": config_toml");
  if (run.info.world_size == 1 && c.sharding == "full") c.sharding = "none";       // one rank holds all
  if (run.info.sequence_share > 1) c.sequence_parallel = run.info.sequence_share;  // run.sequence_parallel_emulated
  model::validate(c.model);
  const std::int64_t parameters = model::ParameterTable(c.model).count();
  if (parameters != run.info.parameters)
    user_error("{}: says {} parameters, and the model of its config_toml has {}: replay a log of gpumonth train",
               run.path, run.info.parameters, parameters);
  return c;
}

std::string with_communication(const std::string& config_toml, const RecordedConfig& config) {
  struct Value {
    std::string text;
    bool usual = false;  // what a run has without the key
  };
  std::map<std::string, std::map<std::string, Value>> values;  // by table
  values["comm"] = {{"bucket_mib", {fmt::format("{}", config.bucket_mib)}},
                    {"wire", {fmt::format("\"{}\"", config.wire)}},
                    {"sharding", {fmt::format("\"{}\"", config.sharding)}},
                    {"shard_group", {fmt::format("{}", config.shard_group), config.shard_group == 0}}};
  values["batch"] = {{"accumulate", {fmt::format("{}", config.accumulate), config.accumulate == 1}}};
  values["run"] = {{"sequence_parallel", {fmt::format("{}", config.sequence_parallel), config.sequence_parallel == 1}},
                   {"sequence_parallel_emulated", {"1", true}}};
  std::istringstream lines(config_toml);
  std::string out, table, line;
  const auto missing = [&] {
    std::string added;
    if (const auto of_table = values.extract(table))
      for (const auto& [key, value] : of_table.mapped())
        if (!value.usual) added += key + " = " + value.text + "\n";
    return added;
  };
  while (std::getline(lines, line)) {
    const std::string text = trimmed(line);
    const std::string key = trimmed(text.substr(0, text.find('=')));
    if (text.starts_with("[")) {
      out += missing();
      table = text.substr(1, text.find(']') - 1);
    } else if (const auto of_table = values.find(table); of_table != values.end() && of_table->second.contains(key)) {
      line = key + " = " + of_table->second.extract(key).mapped().text;
    }
    out += line + "\n";
  }
  out += missing();
  while (!values.empty()) {
    table = values.begin()->first;
    if (const std::string added = missing(); !added.empty()) out += "\n[" + table + "]\n" + added;
  }
  return out;
}

}  // namespace gpumonth::replay
