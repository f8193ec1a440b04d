#include "simulate/all_reduce.h"

#include <algorithm>
#include <cmath>

namespace gpumonth::simulate {
namespace {

/// 2 (n-1)/n: what passes every link of a ring of n, over the bytes that are summed.
double ring_share(double members) { return 2 * (members - 1) / members; }

}  // namespace

Traffic traffic(Algorithm algorithm, const Shape& shape) {
  const double g = shape.gpus_per_host, h = shape.hosts, n = shape.ranks();
  Traffic t{2 * (g - 1), 2 * (h - 1), ring_share(g), ring_share(h), algorithm != Algorithm::hierarchical};
  if (algorithm == Algorithm::tree) t.between_hops = 2 * std::ceil(std::log2(h));
  if (algorithm == Algorithm::ring) {
    t.inside_hops = 2 * (n - 1) - t.between_hops;
    if (g > 1) t.inside_share = ring_share(n);
    if (h > 1) t.between_share = ring_share(n);
  }
  return t;
}

Traffic half_traffic(Algorithm algorithm, const Shape& shape) {
  Traffic t = traffic(algorithm == Algorithm::hierarchical ? algorithm : Algorithm::ring, shape);
  for (double* of : {&t.inside_hops, &t.between_hops, &t.inside_share, &t.between_share}) *of /= 2;
  return t;
}

Traffic broadcast_traffic(const Shape& shape) {
  Traffic t = half_traffic(Algorithm::ring, shape);
  t.inside_share = shape.gpus_per_host > 1 ? 1 : 0;
  t.between_share = shape.hosts > 1 ? 1 : 0;
  return t;
}

Traffic all_to_all_traffic(const Shape& shape) {
  const double g = shape.gpus_per_host, n = shape.ranks();
  Traffic t;
  t.inside_share = (g - 1) / n;
  t.between_share = g * (n - g) / n;
  t.inside_hops = shape.hosts == 1 && g > 1 ? 1 : 0;
  t.between_hops = shape.hosts > 1 ? 1 : 0;
  return t;
}

double all_reduce_s(const Traffic& t, const Cluster& c, double bytes) {
  const double latency_s = t.inside_hops * c.inside.latency.value + t.between_hops * c.between.latency.value;
  const double inside_s = t.inside_share * bytes / c.inside.bytes_per_s();
  const double between_s = t.between_share * bytes / c.between.bytes_per_s();
  return latency_s + (t.at_once ? std::max(inside_s, between_s) : inside_s + between_s);
}

Traffic choose_traffic(const Cluster& cluster, const Shape& shape, double bytes) {
  if (cluster.algorithm != Algorithm::fastest) return traffic(cluster.algorithm, shape);
  const Traffic ring = traffic(Algorithm::ring, shape), tree = traffic(Algorithm::tree, shape);
  return all_reduce_s(tree, cluster, bytes) < all_reduce_s(ring, cluster, bytes) ? tree : ring;
}

double small_collective_s(const Cluster& cluster, const Shape& shape) {
  return all_reduce_s(traffic(Algorithm::tree, shape), cluster, 0);
}

}  // namespace gpumonth::simulate
