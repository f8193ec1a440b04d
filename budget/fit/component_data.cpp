#include "budget/fit/component_data.h"

#include <algorithm>
#include <cmath>
#include <set>

namespace gpumonth::budget {
namespace {

std::vector<std::size_t> draw_blocks(std::size_t n, std::size_t block, std::mt19937_64& random) {
  std::vector<std::size_t> rows;
  rows.reserve(n);
  while (rows.size() < n) {
    const std::size_t start = random() % n;
    for (std::size_t i = 0; i < block && rows.size() < n; ++i) rows.push_back((start + i) % n);
  }
  return rows;
}

std::vector<double> take(const std::vector<double>& column, const std::vector<std::size_t>& rows) {
  std::vector<double> result;
  result.reserve(rows.size());
  for (const auto row : rows) result.push_back(column[row]);
  return result;
}

}  // namespace

ComponentData component_data(const runlog::Run& run) {
  ComponentData d;
  d.path = run.path;
  d.ranks = std::max(1, run.info.world_size);
  const std::set<std::string> hosts(run.info.hostnames.begin(), run.info.hostnames.end());
  d.hosts = std::max(1, static_cast<int>(hosts.size()));
  std::set<std::int64_t> steady;
  for (const auto& s : run.steady()) {
    if (!(s.step_time_s > 0)) continue;
    steady.insert(s.step);
    d.batch_per_rank = static_cast<double>(s.samples) / d.ranks;
    d.step_s.push_back(s.step_time_s);
    d.data_s.push_back(s.data_s);
    d.compute_s.push_back(s.forward_s + s.backward_s);
    d.optimizer_s.push_back(s.optimizer_s);
    d.exposed_s.push_back(s.exposed_comm_s);
    d.other_s.push_back(std::max(
        0.0, s.step_time_s - s.data_s - s.forward_s - s.backward_s - s.optimizer_s - s.exposed_comm_s));
  }
  for (const auto& b : run.buckets) {
    if (!steady.contains(b.step) || b.bucket < 0 || b.bucket > 4096) continue;
    const auto k = static_cast<std::size_t>(b.bucket);
    if (d.buckets.size() <= k) d.buckets.resize(k + 1);
    d.buckets[k].bytes = static_cast<double>(b.bytes);
    d.buckets[k].ready_s.push_back(b.ready_s);
    d.buckets[k].duration_s.push_back(b.end_s - b.start_s);
  }
  std::erase_if(d.buckets, [](const auto& b) { return b.ready_s.empty(); });
  const auto width = static_cast<std::size_t>(d.ranks);
  if (width > 1 && run.rank_step_time_s.size() == run.rank_steps.size() * width)
    for (std::size_t i = 0; i < run.rank_steps.size(); ++i)
      if (steady.contains(run.rank_steps[i])) {
        const auto first = run.rank_step_time_s.begin() + static_cast<std::ptrdiff_t>(i * width);
        d.busy_s.emplace_back(first, first + static_cast<std::ptrdiff_t>(width));
      }
  return d;
}

ComponentData resample(const ComponentData& data, std::mt19937_64& random) {
  ComponentData d;
  d.path = data.path;
  d.ranks = data.ranks;
  d.hosts = data.hosts;
  d.batch_per_rank = data.batch_per_rank;
  const std::size_t n = data.step_s.size();
  if (n == 0) return d;
  const auto block = static_cast<std::size_t>(std::max(1.0, std::round(std::cbrt(static_cast<double>(n)))));
  const auto rows = draw_blocks(n, block, random);
  for (const auto column : {&ComponentData::step_s, &ComponentData::data_s, &ComponentData::compute_s,
                            &ComponentData::optimizer_s, &ComponentData::exposed_s, &ComponentData::other_s})
    d.*column = take(data.*column, rows);
  for (const auto& b : data.buckets) {
    const auto drawn = draw_blocks(b.ready_s.size(), 1, random);
    d.buckets.push_back({b.bytes, take(b.ready_s, drawn), take(b.duration_s, drawn)});
  }
  if (data.busy_s.empty()) return d;
  for (const auto row : draw_blocks(data.busy_s.size(), 1, random)) d.busy_s.push_back(data.busy_s[row]);
  return d;
}

}  // namespace gpumonth::budget
