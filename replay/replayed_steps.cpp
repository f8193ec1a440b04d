#include "replay/replayed_steps.h"

#include <algorithm>
#include <cmath>

#include "base/block_length.h"
#include "replay/draw.h"
#include "replay/layout.h"

namespace gpumonth::replay {
namespace {

using Part = double StepTimes::*;
constexpr Part kParts[] = {&StepTimes::data_s, &StepTimes::forward_s, &StepTimes::backward_s, &StepTimes::optimizer_s,
                           &StepTimes::other_s};

/// Least squares of the logs' means over the batch, never falling and never below zero at no samples.
class Line {
 public:
  Line(const std::vector<RecordedSteps>& logs, Part part) {
    const auto n = static_cast<double>(logs.size());
    double x = 0, y = 0, xx = 0, xy = 0, through_xx = 0, through_xy = 0;
    for (const RecordedSteps& log : logs) {
      x += log.batch_per_rank / n;
      y += log.mean.*part / n;
      through_xx += log.batch_per_rank * log.batch_per_rank;
      through_xy += log.batch_per_rank * (log.mean.*part);
    }
    for (const RecordedSteps& log : logs) {
      xx += (log.batch_per_rank - x) * (log.batch_per_rank - x);
      xy += (log.batch_per_rank - x) * (log.mean.*part - y);
    }
    slope_ = xx > 0 ? std::max(0.0, xy / xx) : 0;
    intercept_ = y - slope_ * x;
    if (xx > 0 && intercept_ >= 0) return;
    slope_ = through_xy / through_xx;  // one batch, or a line that would begin below zero: in proportion
    intercept_ = 0;
  }
  double at(double batch) const { return intercept_ + slope_ * batch; }

 private:
  double slope_ = 0, intercept_ = 0;
};

const RecordedSteps& nearest(const std::vector<RecordedSteps>& logs, double batch) {
  return *std::min_element(logs.begin(), logs.end(), [batch](const RecordedSteps& a, const RecordedSteps& b) {
    return std::abs(std::log(a.batch_per_rank / batch)) < std::abs(std::log(b.batch_per_rank / batch));
  });
}

}  // namespace

std::int64_t batch_per_rank(const Recording& recording, const WhatIf& changes) {
  if (changes.batch_per_rank > 0) return changes.batch_per_rank;
  return std::max<std::int64_t>(1, std::llround(recording.logs.front().batch_per_rank));
}

ReplayedSteps::ReplayedSteps(const Recording& recording, const WhatIf& changes, std::uint64_t seed)
    : seed_(seed), stragglers_(spread_of(changes, recording.spread), seed) {
  check(changes);
  const double wanted =
      changes.batch_per_rank > 0 ? static_cast<double>(changes.batch_per_rank) : recording.logs.front().batch_per_rank;
  batch_per_rank_ = replay::batch_per_rank(recording, changes);
  const double recorded = nearest(recording.logs, wanted).batch_per_rank;
  StepTimes factor{1, changes.compute_scale, changes.compute_scale, changes.compute_scale, 1};
  const ShareOfSamples recorded_share = share_of_samples(recording.config, recording.config.sequence_parallel);
  const ShareOfSamples share = share_of_samples(recording.config, changed(recording.config, changes).sequence_parallel);
  factor.forward_s *= share.forward / recorded_share.forward;
  factor.backward_s *= share.backward / recorded_share.backward;
  for (const Part part : {&StepTimes::data_s, &StepTimes::forward_s, &StepTimes::backward_s}) {
    const Line line(recording.logs, part);
    if (line.at(recorded) > 0) factor.*part *= line.at(wanted) / line.at(recorded);
  }
  for (const RecordedSteps& log : recording.logs) {
    if (log.batch_per_rank != recorded) continue;
    for (StepTimes step : log.steps) {
      for (const Part part : kParts) step.*part *= factor.*part;
      // a drawn rank is as fast as the mean of the recorded ones, of which rank 0 may be a slow one
      const double rank0 = changes.stragglers ? log.rank0 : 1;
      for (const Part part : kParts)
        if (part != &StepTimes::other_s) step.*part /= rank0;
      steps_.push_back(step);
    }
  }
}

StepTimes ReplayedSteps::at(std::int64_t step, int rank) const {
  StepTimes times = drawn(step);
  const double slower = factor(step, rank);
  for (const Part part : kParts)
    if (part != &StepTimes::other_s) times.*part *= slower;
  return times;
}

StepTimes ReplayedSteps::drawn(std::int64_t step) const {
  const std::uint64_t length = usual_block(steps_.size()), number = static_cast<std::uint64_t>(step - 1);
  const double start = uniform(seed_, Purpose::block, number / length, 0) * static_cast<double>(steps_.size());
  return steps_[(static_cast<std::size_t>(start) + number % length) % steps_.size()];
}

StepTimes ReplayedSteps::mean() const {
  StepTimes mean;
  for (const StepTimes& step : steps_)
    for (const Part part : kParts) mean.*part += step.*part / static_cast<double>(steps_.size());
  return mean;
}

int update_sharers(const RecordedConfig& config, const std::string& backend, int ranks, bool one_host) {
  const bool together = config.sharding == "optimizer" || (config.sharding == "none" && backend == "cpu" && one_host);
  return together ? ranks : config.shard_ranks(ranks);
}

double update_scale(const Recording& recording, const RecordedConfig& config, int ranks, bool one_host) {
  const runlog::RunInfo& info = recording.info;
  const int recorded = update_sharers(recording.config, info.backend, info.world_size, runlog::host_count(info) <= 1);
  return static_cast<double>(recorded) / update_sharers(config, info.backend, ranks, one_host);
}

}  // namespace gpumonth::replay
