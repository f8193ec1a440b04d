#include "budget/run_groups.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

namespace gpumonth::budget {
namespace {

using Key = std::tuple<std::string, std::string, std::string, int, std::int64_t, int>;

Key key_of(const runlog::RunInfo& info) {
  return {info.model_name, info.device_name,  info.dtype,
          info.world_size, info.global_batch, info.threads_per_rank};
}

/// Whether runs that share all the other words of the label differ in what `get` gives.
template <class Get>
bool differs(const std::vector<runlog::Run>& runs, const runlog::RunInfo& info, Get get) {
  return std::any_of(runs.begin(), runs.end(), [&](const runlog::Run& other) {
    return other.info.model_name == info.model_name && get(other.info) != get(info);
  });
}

std::string label_of(const std::vector<runlog::Run>& runs, const runlog::RunInfo& info) {
  std::string label =
      fmt::format("{}, {} rank{}", info.model_name, info.world_size, info.world_size == 1 ? "" : "s");
  if (differs(runs, info, [](const auto& i) { return i.threads_per_rank; }))
    label += fmt::format(" of {} thread{}", info.threads_per_rank, info.threads_per_rank == 1 ? "" : "s");
  if (differs(runs, info, [](const auto& i) { return i.global_batch; }))
    label += fmt::format(", batch {}", info.global_batch);
  label += ", " + info.dtype;
  if (differs(runs, info, [](const auto& i) { return i.device_name; })) label += ", " + info.device_name;
  return label;
}

}  // namespace

std::vector<RunGroup> group_runs(const std::vector<runlog::Run>& runs) {
  std::map<Key, RunGroup> groups;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    RunGroup& group = groups[key_of(runs[i].info)];
    if (group.runs.empty()) group.label = label_of(runs, runs[i].info);
    group.runs.push_back(i);
  }
  std::vector<RunGroup> all;
  for (auto& [key, group] : groups) all.push_back(std::move(group));
  return all;
}

std::string run_label(const runlog::Run& run, const std::vector<runlog::Run>& all) {
  const auto place = static_cast<std::size_t>(&run - all.data());
  for (const auto& group : group_runs(all)) {
    const auto found = std::find(group.runs.begin(), group.runs.end(), place);
    if (found == group.runs.end()) continue;
    return group.runs.size() == 1 ? group.label
                                  : fmt::format("{} #{}", group.label, found - group.runs.begin() + 1);
  }
  return run.path;
}

std::string label_with_count(const RunGroup& group) {
  return group.runs.size() == 1 ? group.label : fmt::format("{} ({} runs)", group.label, group.runs.size());
}

}  // namespace gpumonth::budget
