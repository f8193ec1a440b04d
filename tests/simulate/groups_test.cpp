// Where groups of ranks lie, and what their collectives ask of the links.
#include "simulate/groups.h"

#include "base/error.h"
#include "simulate/all_reduce.h"
#include "simulate/flows.h"
#include "tests/catch.h"
#include "tests/simulate/samples.h"

using namespace gpumonth;
using namespace gpumonth::simulate;
using tests::contains;

namespace {

constexpr Shape kFourHosts{8, 4};

void check_shape(const Group& group, int gpus, int hosts, int at_once) {
  CHECK(group.shape.gpus_per_host == gpus);
  CHECK(group.shape.hosts == hosts);
  CHECK(group.at_once == at_once);
}

}  // namespace

TEST_CASE("groups lie within hosts, or on whole ones; replicas across them") {
  check_shape(consecutive(kFourHosts, 2, "g"), 2, 1, 4);
  check_shape(replicas(kFourHosts, 2), 4, 4, 2);
  CHECK(replicas(kFourHosts, 2).route == Route{4, 1});
  check_shape(consecutive(kFourHosts, 8, "g"), 8, 1, 1);
  check_shape(replicas(kFourHosts, 8), 1, 4, 8);
  check_shape(consecutive(kFourHosts, 16, "g"), 8, 2, 1);
  CHECK(consecutive(kFourHosts, 16, "g").route == Route{2, 1});
  check_shape(replicas(kFourHosts, 16), 1, 2, 8);
  CHECK(replicas(kFourHosts, 16).route == Route{2, 2});  // the first host of each group, and the second
  check_shape(consecutive(kFourHosts, 32, "g"), 8, 4, 1);
  check_shape(consecutive({6, 1}, 3, "g"), 3, 1, 2);
}

TEST_CASE("groups that do not fit into hosts say which would") {
  CHECK_THROWS_WITH(consecutive(kFourHosts, 5, "--shard-group"), contains("--shard-group 5 does not divide 32 ranks"));
  CHECK_THROWS_WITH(consecutive({6, 4}, 4, "--shard-group"), contains("a divisor or a multiple of 6"));
  CHECK_THROWS_WITH(consecutive({8, 3}, 12, "--shard-group"), contains("groups of 12 ranks neither"));
}

TEST_CASE("an all-to-all sends each other rank its part, at the same time") {
  const Traffic one_host = all_to_all_traffic({4, 1});
  CHECK(one_host.inside_share == Approx(0.75));
  CHECK(one_host.between_share == 0);
  CHECK(one_host.inside_hops == 1);
  const Traffic two_hosts = all_to_all_traffic({4, 2});
  CHECK(two_hosts.inside_share == Approx(3.0 / 8));
  CHECK(two_hosts.between_share == Approx(4 * 4.0 / 8));  // four ranks send half of theirs to the other host
  CHECK(two_hosts.between_hops == 1);
  CHECK(all_to_all_traffic({1, 1}).inside_hops == 0);
}

TEST_CASE("all-to-alls inside hosts do not meet what goes between them") {
  Job job = tests::sample_job(tests::sample_cluster(4, 2), 8, 400'000'000);
  job.sequence = SharedSamples{.ranks = 4, .tensor_bytes = 1e6};
  CHECK_FALSE(share_links(flows_of(job)));
  job.sequence->ranks = 8;
  CHECK(share_links(flows_of(job)));
  job.shape = {4, 1};
  job.sequence->ranks = 2;
  CHECK(share_links(flows_of(job)));
}

TEST_CASE("hybrid sharding on two hosts of four: gathers inside, all shares' sums over the hosts' links") {
  Job job = tests::sample_job(tests::sample_cluster(4, 2), 8, 400'000'000);
  job.full = FullSharding{.depth = 1,
                          .ranks = 4,
                          .scattered_bytes = std::vector<double>(3, 400e6),
                          .replica_bytes = std::vector<double>(3, 100e6),
                          .block = {.gathered_bytes = 1e9, .gathers = 1}};
  const JobFlows flows = flows_of(job);
  CHECK(flows.block.inside_s == Approx(0.75 * 1e9 / 100e9));
  CHECK(flows.block.between_bytes == 0);
  CHECK(flows.reduces[0].inside_s == Approx(0.75 * 400e6 / 100e9));
  CHECK(flows.reduces[0].between_bytes == 0);
  // a ring of two sends what it sums once; four of them are on each host
  CHECK(flows.replicas[0].between_bytes == Approx(4 * 100e6));
  CHECK(flows.replicas[0].inside_s == 0);
  job.full->ranks = 2;  // four groups: their replicas are rings of two ranks a host on both
  CHECK(flows_of(job).replicas[0].between_bytes == Approx(2 * 1.5 * 100e6));
  CHECK(flows_of(job).replicas[0].inside_s == Approx(1.5 * 100e6 / 100e9));
}
