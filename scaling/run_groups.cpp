#include "scaling/run_groups.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "scaling/measured_run.h"

namespace gpumonth::scaling {
namespace {

/// What tells one point of a sweep from another.
struct Place {
  RunFacts facts;
  int ranks;
  double batch;  ///< samples of a step, mean; as configured where no step counts

  bool same(const Place& other) const {
    return ranks == other.ranks && batch == other.batch && !difference(facts, other.facts);
  }
};

Place place_of(const runlog::Run& run) {
  double samples = 0, steps = 0;
  for (const auto& step : run.steady()) samples += static_cast<double>(step.samples), ++steps;
  return {facts_of(run), run.info.world_size, steps > 0 ? samples / steps : static_cast<double>(run.info.global_batch)};
}

/// What runs of one model differ in, which their labels therefore say.
struct Differences {
  const Place* first = nullptr;
  bool threads = false, batch = false, device = false, tokens = false;
};

std::map<std::string, Differences> differences(const std::vector<Place>& places) {
  std::map<std::string, Differences> by_model;
  for (const auto& place : places) {
    Differences& d = by_model[place.facts.model_name];
    if (d.first == nullptr) d.first = &place;
    d.threads |= place.facts.threads_per_rank != d.first->facts.threads_per_rank;
    d.batch |= place.batch != d.first->batch;
    d.device |= place.facts.device_name != d.first->facts.device_name;
    d.tokens |= place.facts.tokens_per_sample != d.first->facts.tokens_per_sample;
  }
  return by_model;
}

std::string label_of(const Place& place, const Differences& differs) {
  const RunFacts& facts = place.facts;
  std::string label = fmt::format("{}, {} rank{}", facts.model_name, place.ranks, place.ranks == 1 ? "" : "s");
  if (differs.threads)
    label += fmt::format(" of {} thread{}", facts.threads_per_rank, facts.threads_per_rank == 1 ? "" : "s");
  if (differs.batch) label += fmt::format(", batch {:g}", place.batch);
  if (differs.tokens) label += fmt::format(", {:g} tokens", facts.tokens_per_sample);
  label += ", " + facts.dtype;
  if (differs.device) label += ", " + facts.device_name;
  return label;
}

/// By model, device, type, ranks, batch and threads, so that tables are in that order.
bool before(const Place& a, const Place& b) {
  const auto key = [](const Place& p) {
    return std::tie(p.facts.model_name, p.facts.device_name, p.facts.dtype, p.ranks, p.batch, p.facts.threads_per_rank);
  };
  return key(a) < key(b);
}

}  // namespace

std::vector<RunGroup> group_runs(const std::vector<runlog::Run>& runs) {
  std::vector<Place> places;
  for (const auto& run : runs) places.push_back(place_of(run));
  const auto by_model = differences(places);
  std::vector<RunGroup> groups;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    auto group = std::find_if(groups.begin(), groups.end(),
                              [&](const RunGroup& g) { return places[g.runs.front()].same(places[i]); });
    if (group == groups.end())
      group = groups.insert(groups.end(), {label_of(places[i], by_model.at(places[i].facts.model_name)), {}});
    group->runs.push_back(i);
  }
  std::stable_sort(groups.begin(), groups.end(), [&](const RunGroup& a, const RunGroup& b) {
    return before(places[a.runs.front()], places[b.runs.front()]);
  });
  return groups;
}

std::vector<std::string> run_labels(const std::vector<RunGroup>& groups) {
  std::size_t count = 0;
  for (const auto& group : groups) count += group.runs.size();
  std::vector<std::string> labels(count);
  for (const auto& group : groups)
    for (std::size_t i = 0; i < group.runs.size(); ++i)
      labels[group.runs[i]] = group.runs.size() == 1 ? group.label : fmt::format("{} #{}", group.label, i + 1);
  return labels;
}

std::string label_with_count(const RunGroup& group) {
  return group.runs.size() == 1 ? group.label : fmt::format("{} ({} runs)", group.label, group.runs.size());
}

}  // namespace gpumonth::scaling
