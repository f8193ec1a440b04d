// The steps of all ranks, from what their collectives take. Each rank computes at its own speed; collectives are asked for at the
// events of its passes (replay/pass_events.h) and stand in one queue, the same on every rank: of all ranks, or with full
// sharding of each group that holds the whole together. One begins when the one before has ended and the last rank of its group has asked
// for it; a rank goes on at once, and waits where it needs the result.
//
//   gradients    a bucket when its last segment is ready, in the last micro-batch; awaited behind backward
//   full         comm/sharded_storage.h has the rules: what is no block and blocks 0 and 1 are asked for when the first forward
//                begins, block l + 2 when block l is done; backward finds blocks L-1 and L-2 still there, and block l - 2 is
//                asked for when block l is done; the next micro-batch's forward finds blocks 0 and 1. Every micro-batch's
//                gradients are reduced, segment by segment; before its backward those of the micro-batch before are awaited.
//                In the last micro-batch each is followed by the sum over the groups, which begins when the last group has got so far
//   sequence     an all-to-all holds its ranks until the last of them has come and the bytes have passed. The queue goes on beside
//                it; where both are on the same links each has half of them, so that what of the queue is left then ends later, and the
//                all-to-all too
//
// As one collective of a queue goes at a time, a step is arithmetic over the ranks' times.
#pragma once

#include <vector>

#include "simulate/simulation.h"

namespace gpumonth::simulate {

/// s that collectives take once they begin.
struct Durations {
  std::vector<double> reduce_s = {};    ///< by bucket
  std::vector<double> replicas_s = {};  ///< by bucket: over the groups of full sharding; empty: one group
  double outer_s = 0, block_s = 0;      ///< gathers of full sharding
  double gather_s = 0;                  ///< of a sharded optimizer's parameters
  double exchange_3_s = 0, exchange_1_s = 0;
  bool shared_links = false;      ///< all-to-alls and the queue's collectives pass the same ones
  double small_collective_s = 0;  ///< at the step's end
};

/// Every step as rank 0 sees it.
std::vector<SimulatedStep> rank_steps(const Job& job, const Durations& durations);

}  // namespace gpumonth::simulate
