// The steps of a replay: recorded ones, drawn in blocks, with what is changed of them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "replay/recording.h"
#include "replay/what_if.h"

namespace gpumonth::replay {

/// Samples that a rank has in a step, or has a part of.
std::int64_t batch_per_rank(const Recording& recording, const WhatIf& changes);

class ReplayedSteps {
 public:
  /// Times at another batch than was recorded: forward, backward and data on a straight line through the logs' means;
  /// of logs of one batch alone in proportion to it; and with other ranks that share samples as share_of_samples() has it
  /// (layout.h). Steps are those of the logs whose batch is nearest. UserError: changes out of range.
  ReplayedSteps(const Recording& recording, const WhatIf& changes, std::uint64_t seed);

  std::int64_t batch_per_rank() const { return batch_per_rank_; }
  /// Step `step`, 1 the first, without stragglers. Blocks of n^(1/3) recorded steps follow each other, begun anywhere by
  /// (seed, block): the same on every rank, the same for the same seed.
  StepTimes drawn(std::int64_t step) const;
  /// How much slower than that a rank is, in all but other_s.
  double factor(std::int64_t step, int rank) const { return stragglers_.factor(step, rank); }
  /// drawn() on a rank with its factor().
  StepTimes at(std::int64_t step, int rank) const;
  /// Mean over the recorded steps, without stragglers.
  StepTimes mean() const;

 private:
  std::vector<StepTimes> steps_;
  std::int64_t batch_per_rank_ = 0;
  std::uint64_t seed_;
  Stragglers stragglers_;
};

/// Ranks that update a part each of the same parameters: with a sharded optimizer all, with full sharding those of a group, and CPU
/// ranks of one host all, which hold the state in common (trainer/state/state_memory.h).
int update_sharers(const RecordedConfig& config, const std::string& backend, int ranks, bool one_host);
/// What the recorded update's time is multiplied by in a step of `config` on other ranks: its sharers in the recording over those
/// there. That the time is divided evenly is assumed.
double update_scale(const Recording& recording, const RecordedConfig& config, int ranks, bool one_host);

}  // namespace gpumonth::replay
