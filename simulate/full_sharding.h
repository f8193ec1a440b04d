// A step of comm.sharding = "full" on many ranks (comm/sharded_storage.h has the rules): one queue of collectives, in the order
// in which the step's calls ask for them, the same on every rank. A collective begins when the one before has ended and the
// last rank has asked for it; a rank goes on when what it needs has come.
//
//   forward   outer unit and blocks 0 and 1 are asked for when it begins, block l + 2 when block l is done; block l waits
//             for its own
//   backward  begins with blocks L-1 and L-2 still there; a segment's gradients are reduced when they are ready; block l - 2
//             is asked for when block l is done; the end of block l waits for block l - 1, whose gradients it begins
//
// As one collective goes at a time and begins on all ranks at once, a step is arithmetic over the ranks' times; what each
// collective takes comes from the simulated links.
#pragma once

#include <functional>
#include <vector>

#include "simulate/simulation.h"

namespace gpumonth::simulate {

/// s that collectives take once they begin.
struct FullDurations {
  double outer_s = 0, block_s = 0;  ///< gathers
  std::vector<double> reduce_s;     ///< by bucket
  double small_collective_s = 0;    ///< at the step's end
};

/// Every step as rank 0 sees it, of a job with job.full and several ranks.
std::vector<SimulatedStep> full_sharded_steps(const Job& job, const FullDurations& durations);

}  // namespace gpumonth::simulate
