// A recorded run on another number of ranks of a simulated cluster.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "replay/recording.h"
#include "replay/what_if.h"
#include "simulate/simulation.h"

namespace gpumonth::simulate {

struct Plan {
  replay::Recording recording;
  replay::WhatIf changes;
  int steps = 10;
  std::uint64_t seed = 1;
};

/// Throws UserError where the plan's layout cannot lie on so many ranks of the cluster.
void require_layout(const Plan& plan, const Cluster& cluster, int ranks);

/// The recorded step and stragglers on so many ranks, buckets as the trainer plans them. Throws UserError: what
/// require_layout() and replay::ReplayedSteps refuse.
Job make_job(const Plan& plan, const Cluster& cluster, int ranks);

/// What a reader of the results should know: ready times that were estimated, sharding of CPU ranks.
std::vector<std::string> notes(const Plan& plan);

}  // namespace gpumonth::simulate
