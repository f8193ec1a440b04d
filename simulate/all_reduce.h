// What an all-reduce of S bytes over H hosts of g GPUs asks of the links, N = g H ranks, and what reduce-scatter, all-gather,
// broadcast and all-to-all do. The simulation sends them as representative flows, one a link for all rounds of the ring; calibration
// fits the same sums.
//
//   ring          one ring through all GPUs, as NCCL's and gpumonth's own over MPI: pieces travel inside and between hosts
//                 at the same time. 2 (N-1)/N S through every GPU's link and every host's (Patarasuk & Yuan 2009);
//                 2 (H-1) hops between hosts, 2 (N-1) - 2 (H-1) inside them
//   hierarchical  reduce-scatter inside each host, all-reduce between hosts, all-gather inside, one after another:
//                 2 (g-1)/g S and 2 (g-1) hops inside, 2 (H-1)/H S and 2 (H-1) hops between
//   tree          NCCL's double binary tree over hosts, a chain inside: the same bytes, but pieces travel on both
//                 levels at the same time; 2 (g-1) hops inside, 2 ceil(log2 H) between (Sanders, Speck & Traeff 2009)
//
// Hops of ring and tree are those of NCCL's own model (ncclTopoTuneModel in src/graph/tuning.cc). A reduce-scatter is the first
// half of the ring's rounds, or of the hierarchical ring's, an all-gather the second; neither has a tree.
#pragma once

#include "simulate/cluster.h"

namespace gpumonth::simulate {

struct Traffic {
  double inside_hops = 0, between_hops = 0;  ///< latencies that a bucket pays one after another
  double inside_share = 0;                   ///< of S: through one GPU's link, in each direction
  double between_share = 0;                  ///< of S: through one host's links, in each direction
  bool at_once = true;                       ///< pieces travel inside and between hosts at the same time
};

/// Of any algorithm but `fastest`.
Traffic traffic(Algorithm algorithm, const Shape& shape);

/// Of a reduce-scatter of S bytes, and of the all-gather that brings S bytes together: half of an all-reduce. Where
/// all-reduces go by a tree, or by the fastest, these go round the ring.
Traffic half_traffic(Algorithm algorithm, const Shape& shape);

/// Of S bytes that one rank has and all get: round the ring, in pieces, so that they pass every link once.
Traffic broadcast_traffic(const Shape& shape);

/// Of an all-to-all in which every rank has S bytes, an equal part for each: all pairs at the same time, one latency.
Traffic all_to_all_traffic(const Shape& shape);

/// s, latencies and bytes on links that nobody shares: what the simulation gives without stragglers and oversubscription.
double all_reduce_s(const Traffic& traffic, const Cluster& cluster, double bytes);

/// The cluster's algorithm; of `fastest`, ring or tree, whichever takes less time for so many bytes.
Traffic choose_traffic(const Cluster& cluster, const Shape& shape, double bytes);

/// s that a collective of a few bytes takes, by the tree: a step ends with one.
double small_collective_s(const Cluster& cluster, const Shape& shape);

}  // namespace gpumonth::simulate
