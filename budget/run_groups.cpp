#include "budget/run_groups.h"

#include <fmt/format.h>

#include <map>
#include <tuple>

namespace gpumonth::budget {
namespace {

using Key = std::tuple<std::string, std::string, std::string, int, std::int64_t, int>;

Key key_of(const runlog::RunInfo& info) {
  return {info.model_name, info.device_name,  info.dtype,
          info.world_size, info.global_batch, info.threads_per_rank};
}

/// What runs of one model differ in, which their labels therefore say.
struct Differences {
  const runlog::RunInfo* first = nullptr;
  bool threads = false, batch = false, device = false;
};

std::map<std::string, Differences> differences(const std::vector<runlog::Run>& runs) {
  std::map<std::string, Differences> by_model;
  for (const auto& run : runs) {
    Differences& d = by_model[run.info.model_name];
    if (d.first == nullptr) d.first = &run.info;
    d.threads |= run.info.threads_per_rank != d.first->threads_per_rank;
    d.batch |= run.info.global_batch != d.first->global_batch;
    d.device |= run.info.device_name != d.first->device_name;
  }
  return by_model;
}

std::string label_of(const runlog::RunInfo& info, const Differences& differs) {
  std::string label =
      fmt::format("{}, {} rank{}", info.model_name, info.world_size, info.world_size == 1 ? "" : "s");
  if (differs.threads)
    label += fmt::format(" of {} thread{}", info.threads_per_rank, info.threads_per_rank == 1 ? "" : "s");
  if (differs.batch) label += fmt::format(", batch {}", info.global_batch);
  label += ", " + info.dtype;
  if (differs.device) label += ", " + info.device_name;
  return label;
}

}  // namespace

std::vector<RunGroup> group_runs(const std::vector<runlog::Run>& runs) {
  const auto by_model = differences(runs);
  std::map<Key, RunGroup> groups;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    RunGroup& group = groups[key_of(runs[i].info)];
    if (group.runs.empty()) group.label = label_of(runs[i].info, by_model.at(runs[i].info.model_name));
    group.runs.push_back(i);
  }
  std::vector<RunGroup> all;
  for (auto& [key, group] : groups) all.push_back(std::move(group));
  return all;
}

std::vector<std::string> run_labels(const std::vector<RunGroup>& groups) {
  std::size_t count = 0;
  for (const auto& group : groups) count += group.runs.size();
  std::vector<std::string> labels(count);
  for (const auto& group : groups)
    for (std::size_t i = 0; i < group.runs.size(); ++i)
      labels[group.runs[i]] =
          group.runs.size() == 1 ? group.label : fmt::format("{} #{}", group.label, i + 1);
  return labels;
}

std::string label_with_count(const RunGroup& group) {
  return group.runs.size() == 1 ? group.label : fmt::format("{} ({} runs)", group.label, group.runs.size());
}

}  // namespace gpumonth::budget
