// What each collective of a job asks of the links: the sums of all_reduce.h with the job's bytes and groups.
#pragma once

#include <vector>

#include "simulate/groups.h"
#include "simulate/simulation.h"

namespace gpumonth::simulate {

/// A collective. Nothing else is on a GPU's link inside its host, so its bytes there are waited for.
struct Flows {
  double latency_s = 0, inside_s = 0;
  double between_bytes = 0;  ///< out of each host, of all groups that are on it
  bool at_once = true;       ///< inside and between hosts
  Route route = {};
};

/// Of a job of several ranks.
struct JobFlows {
  std::vector<Flows> reduces;    ///< by bucket
  std::vector<Flows> replicas;   ///< by bucket: over the groups of full sharding; empty: one group
  Flows gather;                  ///< of the sharded optimizer's parameters
  Flows outer, block;            ///< gathers of full sharding
  Flows exchange_3, exchange_1;  ///< all-to-alls of three tensors, and of one
};
JobFlows flows_of(const Job& job);
/// All-to-alls and other collectives go between hosts, or none does.
bool share_links(const JobFlows& flows);

}  // namespace gpumonth::simulate
