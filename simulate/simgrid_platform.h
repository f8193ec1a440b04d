// The cluster as SimGrid's hosts and links. Only files that are compiled with SimGrid include this.
#pragma once

#include <simgrid/s4u.hpp>
#include <vector>

#include "simulate/cluster.h"

namespace gpumonth::simulate {

/// Builds the platform of a job's hosts; in the order of ranks. A host sends to another over
/// both hosts' links and, in another leaf, the leaves' uplinks. No link has a latency: SimGrid shares bandwidth by
/// round-trip times, which RDMA and NCCL do not, so latencies are waited for before the bytes go (simgrid.cpp).
std::vector<simgrid::s4u::Host*> make_platform(const Cluster& cluster, const Shape& shape);

}  // namespace gpumonth::simulate
