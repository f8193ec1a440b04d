#include "scaling/fit/component_data.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/block_length.h"

namespace gpumonth::scaling {

ComponentSums::ComponentSums(const runlog::Run& run) : busy_(static_cast<std::size_t>(run.info.world_size) + 1) {
  facts_.path = run.path;
  facts_.ranks = run.info.world_size;
  facts_.hosts = std::max(1, runlog::host_count(run.info));
  for (const auto& s : run.steady()) {
    const double other_s = s.step_time_s - s.data_s - s.forward_s - s.backward_s - s.optimizer_s - s.exposed_comm_s;
    steps_.add(std::array{static_cast<double>(s.samples), s.step_time_s, s.data_s, s.forward_s + s.backward_s,
                          s.optimizer_s, s.exposed_comm_s, std::max(0.0, other_s)});
  }
  for (const auto& b : run.buckets) {
    if (!run.is_steady(b.step)) continue;
    const auto k = static_cast<std::size_t>(b.bucket);
    if (buckets_.size() <= k) buckets_.resize(k + 1, BlockSums(2)), bucket_bytes_.resize(k + 1, 0);
    bucket_bytes_[k] = static_cast<double>(b.bytes);
    buckets_[k].add(std::array{b.ready_s, b.end_s - b.start_s});
  }
  const auto ranks = static_cast<std::size_t>(run.info.world_size);
  if (ranks < 2 || run.rank_step_time_s.size() != run.rank_steps.size() * ranks) return;
  std::vector<double> row(ranks + 1);
  for (std::size_t i = 0; i < run.rank_steps.size(); ++i) {
    if (!run.is_steady(run.rank_steps[i])) continue;
    const auto of_step = std::span(run.rank_step_time_s).subspan(i * ranks, ranks);
    std::copy(of_step.begin(), of_step.end(), row.begin());
    row[ranks] = runlog::squares_around_mean(of_step);
    busy_.add(row);
  }
}

template <class Draw>
ComponentData ComponentSums::data(Draw&& draw) const {
  ComponentData d = facts_;
  auto sums = draw(steps_);
  for (double& sum : sums) sum /= static_cast<double>(steps_.rows());
  d.batch_per_rank = sums[0] / d.ranks;
  double* const times[] = {&d.step_s, &d.data_s, &d.compute_s, &d.optimizer_s, &d.exposed_s, &d.other_s};
  for (std::size_t i = 0; i < std::size(times); ++i) *times[i] = sums[i + 1];
  for (std::size_t k = 0; k < buckets_.size(); ++k) {
    const auto rows = static_cast<double>(buckets_[k].rows());
    if (rows == 0) continue;
    const auto bucket = draw(buckets_[k]);
    d.buckets.push_back({bucket_bytes_[k], bucket[0] / rows, bucket[1] / rows});
  }
  if (busy_.rows() == 0) return d;
  d.busy.rows = static_cast<double>(busy_.rows());
  d.busy.mean_s = draw(busy_);
  d.busy.squares = d.busy.mean_s.back();
  d.busy.mean_s.pop_back();
  for (double& busy : d.busy.mean_s) busy /= d.busy.rows;
  return d;
}

ComponentData ComponentSums::means() const {
  return data([](const BlockSums& sums) { return sums.total(); });
}

ComponentData ComponentSums::resample(std::mt19937_64& random) const {
  return data([&](const BlockSums& sums) { return sums.draw(usual_block(sums.rows()), random); });
}

}  // namespace gpumonth::scaling
