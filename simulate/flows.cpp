#include "simulate/flows.h"

#include <algorithm>

#include "simulate/all_reduce.h"

namespace gpumonth::simulate {
namespace {

Flows flows_of(const Cluster& cluster, const Group& group, const Traffic& t, double bytes) {
  return {t.inside_hops * cluster.inside.latency.value + t.between_hops * cluster.between.latency.value,
          t.inside_share * bytes / cluster.inside.bytes_per_s(), group.at_once * t.between_share * bytes, t.at_once,
          group.route};
}

Flows all_reduce(const Cluster& cluster, const Group& group, double bytes) {
  Cluster seen = cluster;  // by one of the groups, which choose alike
  seen.between.bandwidth.value /= group.at_once;
  return flows_of(cluster, group, choose_traffic(seen, group.shape, bytes), bytes);
}

/// A reduce-scatter or an all-gather.
Flows half(const Cluster& cluster, const Group& group, double bytes) {
  return flows_of(cluster, group, half_traffic(cluster.algorithm, group.shape), bytes);
}

Flows broadcast(const Cluster& cluster, const Group& group, double bytes) {
  return flows_of(cluster, group, broadcast_traffic(group.shape), bytes);
}

Flows all_to_all(const Cluster& cluster, Group group, double bytes) {
  group.route.all_pairs = true;
  return flows_of(cluster, group, all_to_all_traffic(group.shape), bytes);
}

/// Of two collectives in one group, as NCCL runs them: latencies pass at the same time, bytes share the links.
Flows together(const Flows& a, const Flows& b) {
  return {std::max(a.latency_s, b.latency_s), a.inside_s + b.inside_s, a.between_bytes + b.between_bytes, a.at_once,
          a.route};
}

/// One after the other.
Flows in_turn(const Flows& a, const Flows& b) {
  return {a.latency_s + b.latency_s, a.inside_s + b.inside_s, a.between_bytes + b.between_bytes, a.at_once, a.route};
}

/// So many collectives in turn, of the bytes in all.
Flows times(int count, Flows flows) {
  flows.latency_s *= count;
  return flows;
}

/// The gathers of a unit of full sharding; latencies are those of all its collectives.
Flows gather_unit(const Job& job, const Group& group, const FullSharding::Unit& unit) {
  const Flows shares = half(job.cluster, group, unit.gathered_bytes);
  const Flows rest = broadcast(job.cluster, group, unit.broadcast_bytes);
  if (job.full->grouped) return unit.broadcasts > 0 ? together(shares, rest) : shares;
  return in_turn(times(unit.gathers, shares), times(unit.broadcasts, rest));
}

/// `scattered` of the bytes in equal shares, the others on all ranks. `grouped`: in one of NCCL's groups.
Flows reduce(const Job& job, const Group& group, double bytes, double scattered, bool grouped) {
  const double summed = bytes - scattered;
  const Flows all = all_reduce(job.cluster, group, summed);
  if (!(scattered > 0)) return all;
  const Flows share = half(job.cluster, group, scattered);
  if (!(summed > 0)) return share;
  return grouped ? together(share, all) : in_turn(share, all);
}

}  // namespace

JobFlows flows_of(const Job& job) {
  JobFlows flows;
  const Group all = everybody(job.shape);
  const Group sharers = job.full ? consecutive(job.shape, job.full->ranks, "shard group of") : all;
  for (std::size_t b = 0; b < job.bucket_bytes.size(); ++b) {
    const double scattered = job.full       ? job.full->scattered_bytes[b]
                             : job.sharding ? job.sharding->scattered_bytes[b]
                                            : 0;
    const bool grouped = !job.full || job.full->grouped;
    flows.reduces.push_back(reduce(job, sharers, static_cast<double>(job.bucket_bytes[b]), scattered, grouped));
  }
  if (job.full) {
    flows.outer = gather_unit(job, sharers, job.full->outer);
    flows.block = gather_unit(job, sharers, job.full->block);
    for (const double bytes : job.full->replica_bytes)
      flows.replicas.push_back(all_reduce(job.cluster, replicas(job.shape, job.full->ranks), bytes));
  }
  if (job.sharding) {
    flows.gather = half(job.cluster, all, job.sharding->gathered_bytes);
    if (job.sharding->broadcast_bytes > 0)
      flows.gather = together(flows.gather, broadcast(job.cluster, all, job.sharding->broadcast_bytes));
  }
  if (job.sequence) {
    const Group sharing = consecutive(job.shape, job.sequence->ranks, "sequence ranks");
    flows.exchange_3 = all_to_all(job.cluster, sharing, 3 * job.sequence->tensor_bytes);
    flows.exchange_1 = all_to_all(job.cluster, sharing, job.sequence->tensor_bytes);
  }
  return flows;
}

bool share_links(const JobFlows& flows) {
  bool between = flows.outer.between_bytes > 0;
  for (const auto* several : {&flows.reduces, &flows.replicas})
    for (const Flows& one : *several) between = between || one.between_bytes > 0;
  return between == (flows.exchange_3.between_bytes > 0);
}

}  // namespace gpumonth::simulate
