// A training step on a simulated machine: every rank computes for its recorded times and asks for collectives on its way, whose
// bytes go over simulated links. SimGrid's engine says how long they take (simgrid.cpp), rank_steps.h adds them up; where SimGrid
// is not built simgrid_stub.cpp says so.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "replay/pass_events.h"
#include "simulate/cluster.h"

namespace gpumonth::simulate {

/// What every rank does in one step, s; a rank's straggler factor stretches all of it but other_s. Forward and backward of all
/// micro-batches, which take alike.
struct WorkStep {
  double data_s = 0, forward_s = 0, backward_s = 0, optimizer_s = 0;
  double other_s = 0;  ///< what no column of the log claims; at the step's end
};

/// What ranks send that update a share of the parameters each (comm.sharding = "optimizer").
struct Sharding {
  /// Of each bucket, what is reduce-scattered; the rest of its bytes is all-reduced in one group with that.
  std::vector<double> scattered_bytes;
  double gathered_bytes = 0;   ///< of the updated parameters, in equal shares
  double broadcast_bytes = 0;  ///< what was left over of equal shares, in one group with them
  double norm_s = 0;           ///< that the gradients' norm is summed up for before the update
};

/// What ranks send that hold a share each of weights, gradients and state (comm.sharding = "full"); buckets are the segments
/// of model/gradient_segments.h.
struct FullSharding {
  int depth = 0;
  int ranks = 0;                             ///< consecutive ones that hold the whole together
  std::vector<double> scattered_bytes = {};  ///< as of Sharding
  std::vector<double> replica_bytes = {};    ///< of each bucket: the share that groups sum; empty: one group
  /// A collective for each segment of a unit, of the bytes in equal shares; and one for what is left over of them.
  struct Unit {
    double gathered_bytes = 0, broadcast_bytes = 0;
    int gathers = 0, broadcasts = 0;
  };
  Unit outer = {}, block = {};  ///< what is no block; every block
  bool grouped = false;  ///< NCCL: collectives of a unit, or of a bucket, are one group; their latencies pass together
  double norm_s = 0;
};

/// Consecutive ranks that share each sample's tokens (run.sequence_parallel): all-to-alls around attention.
struct SharedSamples {
  int ranks = 0;
  double tensor_bytes = 0;  ///< of q, say, of one rank's tokens, in one micro-batch
};

struct Job {
  Cluster cluster;
  Shape shape;
  std::int64_t batch_per_rank = 0;         ///< samples that a rank has, or has a part of
  std::vector<std::int64_t> bucket_bytes;  ///< on the wire, in launch order
  int micro_batches = 1;                   ///< of a step; without `full` gradients are sent in the last one alone
  replay::PassEvents passes;               ///< of a micro-batch
  std::vector<WorkStep> steps;             ///< the same on all ranks
  std::vector<float> factors;              ///< (steps, ranks), row-major; > 0
  std::optional<Sharding> sharding;        ///< nothing: every rank updates all; of no use to one rank
  std::optional<FullSharding> full;        ///< instead; of several ranks
  std::optional<SharedSamples> sequence;   ///< of several ranks
};

/// One step as rank 0 sees it, s since the first step began.
struct SimulatedStep {
  double begin_s = 0, backward_end_s = 0;
  double buckets_end_s = 0;  ///< every bucket has arrived
  double update_end_s = 0;
  double gathered_s = 0;  ///< with sharding: all parameters have arrived; else update_end_s
  double agreed_s = 0;    ///< after the small collective of loss and stop signals, which waits for the slowest rank
  double end_s = 0;
  double reduces_s = 0;  ///< in reductions of gradients, those of earlier micro-batches, too
  double gathers_s = 0,
         gathers_waited_s = 0;  ///< with full sharding: in gathers of weights, and what passes waited for collectives
  double exchanged_forward_s = 0,
         exchanged_backward_s = 0;  ///< in all-to-alls of ranks that share samples, and waiting for these
  struct Bucket {
    double ready_s = 0, start_s = 0, end_s = 0;
  };
  std::vector<Bucket> buckets;  ///< of the last micro-batch; empty with one rank
};

struct Outcome {
  std::vector<SimulatedStep> steps;
  double wall_s = 0;            ///< that the simulation took
  std::int64_t peak_bytes = 0;  ///< resident memory of the process that simulated
};

/// "SimGrid 3.32"; empty where it is not built.
std::string simulator_name();

/// Throws UserError where this program was built without SimGrid: says how to build with it.
void require_simulator();

/// Simulates the job in a process of its own; the same job gives the same bits. Throws UserError without SimGrid,
/// std::runtime_error where that process fails.
Outcome simulate(const Job& job);

}  // namespace gpumonth::simulate
