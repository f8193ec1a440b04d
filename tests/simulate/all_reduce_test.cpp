// Against sums done by hand, from what each algorithm's papers say of its rounds.
#include "simulate/all_reduce.h"

#include "tests/catch.h"
#include "tests/simulate/samples.h"

using namespace gpumonth;
using namespace gpumonth::simulate;

TEST_CASE("a ring over hosts of one GPU") {
  const Traffic t = traffic(Algorithm::ring, {1, 4});
  CHECK(t.inside_hops == 0);
  CHECK(t.between_hops == 6);     // 3 rounds of reduce-scatter, 3 of all-gather
  CHECK(t.between_share == 1.5);  // 6 rounds of a quarter
  CHECK(t.inside_share == 0);
}

TEST_CASE("a ring over one host") {
  const Traffic t = traffic(Algorithm::ring, {8, 1});
  CHECK(t.inside_hops == 14);
  CHECK(t.between_hops == 0);
  CHECK(t.inside_share == 1.75);
  CHECK(t.between_share == 0);
}

TEST_CASE("rings over hosts of several GPUs") {
  const Traffic ring = traffic(Algorithm::ring, {8, 2});
  CHECK(ring.between_hops == 2);
  CHECK(ring.inside_hops == 28);  // of 30 rounds
  CHECK(ring.inside_share == 1.875);
  CHECK(ring.between_share == 1.875);
  CHECK(ring.at_once);
  const Traffic levels = traffic(Algorithm::hierarchical, {8, 2});
  CHECK(levels.inside_hops == 14);
  CHECK(levels.between_hops == 2);
  CHECK(levels.inside_share == 1.75);
  CHECK(levels.between_share == 1);
  CHECK_FALSE(levels.at_once);
}

TEST_CASE("a tree's hops grow as the logarithm of the hosts") {
  CHECK(traffic(Algorithm::tree, {8, 1}).between_hops == 0);
  CHECK(traffic(Algorithm::tree, {8, 2}).between_hops == 2);
  CHECK(traffic(Algorithm::tree, {8, 5}).between_hops == 6);
  CHECK(traffic(Algorithm::tree, {8, 2048}).between_hops == 22);
  CHECK(traffic(Algorithm::tree, {8, 2048}).inside_hops == 14);
}

TEST_CASE("reduce-scatter and all-gather are half of a ring's all-reduce, and know no tree") {
  for (const auto algorithm : {Algorithm::ring, Algorithm::tree, Algorithm::fastest}) {
    const Traffic t = half_traffic(algorithm, {1, 4});
    CHECK(t.between_hops == 3);
    CHECK(t.between_share == 0.75);  // 3 rounds of a quarter
    CHECK(t.inside_hops == 0);
    CHECK(t.inside_share == 0);
  }
  const Traffic ring = half_traffic(Algorithm::ring, {8, 2});
  CHECK(ring.between_hops == 1);
  CHECK(ring.inside_hops == 14);  // of 15 rounds
  CHECK(ring.inside_share == 0.9375);
  CHECK(ring.between_share == 0.9375);
  const Traffic levels = half_traffic(Algorithm::hierarchical, {8, 2});
  CHECK(levels.inside_hops == 7);
  CHECK(levels.between_hops == 1);
  CHECK(levels.inside_share == 0.875);
  CHECK(levels.between_share == 0.5);
  CHECK_FALSE(levels.at_once);
}

TEST_CASE("a broadcast passes every link of the ring once") {
  const Traffic t = broadcast_traffic({8, 2});
  CHECK(t.between_hops == 1);
  CHECK(t.inside_hops == 14);
  CHECK(t.inside_share == 1);
  CHECK(t.between_share == 1);
  CHECK(broadcast_traffic({1, 2}).inside_share == 0);
  CHECK(broadcast_traffic({8, 1}).between_share == 0);
}

TEST_CASE("times: latencies, then the slower level or both") {
  Cluster c = tests::sample_cluster(2, 2);
  c.inside.latency.value = 1e-6;
  c.between.latency.value = 10e-6;
  c.inside.bandwidth.value = 10e9;
  // ring of 4: 2 hops between, 4 inside, 1.5 of the bytes on each level, 10 GB/s and 1 GB/s
  CHECK(all_reduce_s(traffic(Algorithm::ring, {2, 2}), c, 1e6) == Approx(24e-6 + 1.5e-3));
  // 2 and 2 hops, 1 of the bytes on each level, one after the other
  CHECK(all_reduce_s(traffic(Algorithm::hierarchical, {2, 2}), c, 1e6) == Approx(22e-6 + 0.1e-3 + 1e-3));
  c.between.efficiency.value = 0.5;
  CHECK(all_reduce_s(traffic(Algorithm::ring, {2, 2}), c, 1e6) == Approx(24e-6 + 3e-3));
}

TEST_CASE("the fastest is a tree for small buckets on many hosts, a ring for large ones on few GPUs") {
  Cluster c = tests::sample_cluster(1, 64);
  c.algorithm = Algorithm::fastest;
  c.between.latency.value = 10e-6;
  CHECK(choose_traffic(c, {1, 64}, 1e3).between_hops == 12);
  c.between.latency.value = 0;
  CHECK(choose_traffic(c, {1, 64}, 1e9).between_hops == 126);  // equally fast: the ring
  c.algorithm = Algorithm::ring;
  CHECK(choose_traffic(c, {1, 64}, 1e3).between_hops == 126);
}

TEST_CASE("a step's small collective pays latencies only") {
  Cluster c = tests::sample_cluster(4, 8);
  c.inside.latency.value = 1e-6;
  c.between.latency.value = 10e-6;
  CHECK(small_collective_s(c, {4, 8}) == Approx(6e-6 + 60e-6));
  CHECK(small_collective_s(c, {1, 1}) == 0);
}
