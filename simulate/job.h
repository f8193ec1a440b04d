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

/// What a rank's compute is that shares its samples with others, over what it is alone, by multiply-adds: of its tokens' part, linear
/// layers of T/s tokens and attention of H/s heads over all, 1/s, and the conditioning, once a sample, whole. Assumed: products of
/// fewer tokens and heads are as fast as those of all; packing for all-to-alls, copies in memory, takes no time; gradients are ready
/// after the same shares of backward.
struct ShareOfSamples {
  double forward = 1, backward = 1;
};
ShareOfSamples share_of_samples(const replay::RecordedConfig& config, int sequence_ranks);

/// Throws UserError where the plan's layout cannot lie on so many ranks of the cluster.
void require_layout(const Plan& plan, const Cluster& cluster, int ranks);

/// The recorded step and stragglers on so many ranks, buckets as the trainer plans them. Throws UserError: what
/// require_layout() and replay::ReplayedSteps refuse.
Job make_job(const Plan& plan, const Cluster& cluster, int ranks);

/// What a reader of the results should know: ready times that were estimated, sharding of CPU ranks.
std::vector<std::string> notes(const Plan& plan);

}  // namespace gpumonth::simulate
