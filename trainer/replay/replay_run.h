// `gpumonth replay`: a recorded run again, at the ranks that were launched.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "replay/what_if.h"
#include "trainer/loop.h"
#include "trainer/replay/replayed_step.h"

namespace gpumonth::trainer {

/// Late by more than this share of the step, sleeps have changed what was to be measured.
constexpr double kMostLate = 0.02;

struct ReplayOptions {
  std::vector<std::string> logs;
  std::string directory = "runs/replay-{ranks}ranks";  ///< as run.directory
  std::int64_t steps = 60;
  std::uint64_t seed = 1;
  bool adds = true;  ///< false: gradients are sent and not added
  ComputeStandIn compute = ComputeStandIn::sleeps;
  replay::WhatIf changes;
  double most_late = kMostLate;  ///< for tests on busy machines
};

struct ReplayResult {
  TrainResult run;
  Lateness lateness;
  std::string ready_source;  ///< ReadyTimes::source
  replay::Spread spread;     ///< of the stragglers that were drawn
};

/// Collective; the same result on every rank. UserError: logs that are no recording (replay/recording.h), changes out of
/// range, a log that is there already, sleeps later than most_late: that log is removed, as it is no replay.
ReplayResult replay_run(const ReplayOptions& options, comm::Transport& transport);

}  // namespace gpumonth::trainer
