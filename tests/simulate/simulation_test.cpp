// The simulated machine against times that were added up by hand.
#include "simulate/simulation.h"

#include <cmath>

#include "replay/stragglers.h"
#include "scaling/fit/components.h"
#include "tests/catch.h"
#include "tests/simulate/samples.h"

using namespace gpumonth;
using namespace gpumonth::simulate;
using tests::kSampleAlone_s;
using tests::sample_cluster;
using tests::sample_job;

namespace {

// SimGrid's clock is exact to a nanosecond (surf/precision), bytes are whole.
constexpr double kClock_s = 1e-8;

double step_s(const SimulatedStep& step) { return step.end_s - step.begin_s; }

double first_bucket_s(const Job& job) {
  const auto bucket = simulate::simulate(job).steps[0].buckets[0];
  return bucket.end_s - bucket.start_s;
}

/// One bucket alone: the others are empty.
Job one_bucket(const Cluster& cluster, int ranks, std::int64_t bytes) {
  Job job = sample_job(cluster, ranks, bytes, 1);
  job.bucket_bytes = {bytes, 0, 0};
  return job;
}

}  // namespace

TEST_CASE("a ring on links of 1 GB/s takes 2 (N-1)/N S and 2 (N-1) latencies") {
  Cluster c = sample_cluster(1, 64);
  c.between.latency.value = 1e-4;
  for (const int n : {2, 4, 64}) {
    INFO(n << " ranks");
    CHECK(first_bucket_s(one_bucket(c, n, 64'000'000)) ==
          Approx(2.0 * (n - 1) / n * 0.064 + 2 * (n - 1) * 1e-4).margin(kClock_s));
  }
}

TEST_CASE("inside one host the GPUs' links count, not the network's") {
  Cluster c = sample_cluster(8, 2);
  c.inside.latency.value = 1e-6;
  CHECK(first_bucket_s(one_bucket(c, 8, 1'000'000'000)) == Approx(1.75 * 0.01 + 14e-6).margin(kClock_s));
}

TEST_CASE("two levels, at once or one after the other") {
  Cluster c = sample_cluster(2, 2);
  c.inside.bandwidth.value = 2e9;
  CHECK(first_bucket_s(one_bucket(c, 4, 100'000'000)) == Approx(0.15).margin(kClock_s));
  c.inside.bandwidth.value = 0.5e9;  // now the slower one
  CHECK(first_bucket_s(one_bucket(c, 4, 100'000'000)) == Approx(0.3).margin(kClock_s));
  c.algorithm = Algorithm::hierarchical;
  CHECK(first_bucket_s(one_bucket(c, 4, 100'000'000)) == Approx(0.2 + 0.1).margin(kClock_s));
}

TEST_CASE("buckets go one at a time, behind backward") {
  // Two hosts: a bucket of S bytes takes S / 1 GB/s. Forward ends at 0.11 s, buckets are ready at 0.21, 0.31, 0.41.
  const auto outcome = simulate::simulate(sample_job(sample_cluster(1, 2), 2, 150'000'000));
  for (const SimulatedStep& step : outcome.steps) {
    REQUIRE(step.buckets.size() == 3);
    const double ready[] = {0.21, 0.31, 0.41}, start[] = {0.21, 0.36, 0.51}, end[] = {0.36, 0.51, 0.66};
    for (int b = 0; b < 3; ++b) {
      CHECK(step.buckets[b].ready_s - step.begin_s == Approx(ready[b]).margin(kClock_s));
      CHECK(step.buckets[b].start_s - step.begin_s == Approx(start[b]).margin(kClock_s));
      CHECK(step.buckets[b].end_s - step.begin_s == Approx(end[b]).margin(kClock_s));
    }
    CHECK(step.backward_end_s - step.begin_s == Approx(0.41).margin(kClock_s));
    CHECK(step.buckets_end_s - step.begin_s == Approx(0.66).margin(kClock_s));
    CHECK(step_s(step) == Approx(0.66 + 0.025).margin(kClock_s));
  }
  CHECK(outcome.steps[1].begin_s == Approx(outcome.steps[0].end_s).margin(kClock_s));
  // Buckets of 50 ms hide but for the last one.
  CHECK(step_s(simulate::simulate(sample_job(sample_cluster(1, 2), 2, 50'000'000)).steps[0]) ==
        Approx(kSampleAlone_s + 0.05).margin(kClock_s));
}

TEST_CASE("a sharded step: a ring's reduce-scatters, the norm, the update, a ring's all-gather") {
  // A reduce-scatter, and the all-gather, of S bytes on N ranks: (N-1)/N S / bandwidth and N-1 latencies.
  Cluster c = sample_cluster(1, 64);
  c.between.latency.value = 1e-4;
  for (const int n : {2, 4, 64}) {
    INFO(n << " ranks");
    Job job = sample_job(c, n, 64'000'000);
    job.sharding = Sharding{std::vector<double>(3, 64e6), 192e6, 0, 0.003};
    const double share = (n - 1.0) / n, hops_s = (n - 1) * 1e-4;
    for (const SimulatedStep& step : simulate::simulate(job).steps) {
      for (const auto& bucket : step.buckets)
        CHECK(bucket.end_s - bucket.start_s == Approx(share * 0.064 + hops_s).margin(kClock_s));
      CHECK(step.update_end_s - step.buckets_end_s == Approx(0.003 + 0.02).margin(kClock_s));
      CHECK(step.gathered_s - step.update_end_s == Approx(share * 0.192 + hops_s).margin(kClock_s));
      // the three reduce-scatters hide but for the last one
      const double tree_s = 2 * std::ceil(std::log2(n)) * 1e-4;
      CHECK(step_s(step) == Approx(kSampleAlone_s + share * 0.256 + 2 * hops_s + 0.003 + tree_s).margin(5 * kClock_s));
    }
  }
}

TEST_CASE("what does not divide by the ranks goes with the shares: all-reduced, then broadcast") {
  Cluster c = sample_cluster(1, 4);
  c.between.latency.value = 1e-4;
  Job job = one_bucket(c, 4, 100'000'000);
  job.sharding = Sharding{{80e6, 0, 0}, 80e6, 20e6, 0};
  const auto step = simulate::simulate(job).steps[0];
  // latencies pass together: the all-reduce's 6 hops, the all-gather's 3
  CHECK(step.buckets[0].end_s - step.buckets[0].start_s == Approx(0.75 * 0.08 + 1.5 * 0.02 + 6e-4).margin(kClock_s));
  CHECK(step.gathered_s - step.update_end_s == Approx(0.75 * 0.08 + 0.02 + 3e-4).margin(kClock_s));
}

TEST_CASE("parameters are gathered once the slowest rank has updated its share") {
  Job job = sample_job(sample_cluster(1, 2), 2, 0, 1);
  job.factors = {1, 1.5};
  job.sharding = Sharding{std::vector<double>(3, 0), 100e6, 0, 0};
  const auto step = simulate::simulate(job).steps[0];
  CHECK(step.buckets_end_s - step.begin_s == Approx(1.5 * 0.41).margin(kClock_s));
  CHECK(step.update_end_s - step.buckets_end_s == Approx(0.02).margin(kClock_s));  // rank 0's own
  CHECK(step.gathered_s - step.buckets_end_s == Approx(0.03 + 0.05).margin(kClock_s));
}

TEST_CASE("one rank has nobody to share with, and without sharding nothing is gathered") {
  Job job = sample_job(sample_cluster(1, 1), 1, 64'000'000);
  job.sharding = Sharding{std::vector<double>(3, 64e6), 192e6, 0, 0.003};
  CHECK(step_s(simulate::simulate(job).steps[1]) == Approx(kSampleAlone_s).margin(kClock_s));
  const auto step = simulate::simulate(sample_job(sample_cluster(1, 2), 2, 1'000'000)).steps[0];
  CHECK(step.gathered_s == step.update_end_s);
}

TEST_CASE("the step ends with a small collective: a tree's latencies") {
  Cluster c = sample_cluster(1, 8);
  c.between.latency.value = 1e-3;
  const auto step = simulate::simulate(sample_job(c, 8, 0)).steps[1];
  CHECK(step.agreed_s - step.update_end_s == Approx(2 * 3 * 1e-3).margin(kClock_s));
}

TEST_CASE("without stragglers and with infinite links a step takes its own time") {
  Cluster c = sample_cluster(4, 64);
  c.inside.bandwidth.value = c.between.bandwidth.value = 1e18;
  for (const int n : {1, 4, 256}) {
    INFO(n << " ranks");
    const auto outcome = simulate::simulate(sample_job(c, n, 1'000'000, 3));
    for (const auto& step : outcome.steps) CHECK(step_s(step) == Approx(kSampleAlone_s).margin(kClock_s));
    CHECK(outcome.steps[0].buckets.size() == (n > 1 ? 3 : 0));
  }
}

TEST_CASE("the slowest rank decides, whichever it is") {
  Cluster c = sample_cluster(2, 4);
  c.inside.bandwidth.value = c.between.bandwidth.value = 1e18;
  Job job = sample_job(c, 8, 1'000'000, 1);
  job.factors = {1, 1, 1, 1, 1, 1.5, 1, 0.5};
  const auto step = simulate::simulate(job).steps[0];
  CHECK(step_s(step) == Approx(1.5 * 0.43 + 0.005).margin(kClock_s));
  CHECK(step.backward_end_s - step.begin_s == Approx(0.41).margin(kClock_s));
  CHECK(step.buckets[0].start_s - step.begin_s == Approx(0.21).margin(kClock_s));  // rank 0 waits inside it
  CHECK(step.buckets[0].end_s - step.begin_s == Approx(1.5 * 0.21).margin(kClock_s));
}

TEST_CASE("oversubscription halves the bandwidth of a scattered job, not of a packed one") {
  Cluster c = sample_cluster(1, 4);
  c.hosts_per_leaf.value = 2;
  const double free_s = first_bucket_s(one_bucket(c, 4, 100'000'000));
  c.oversubscription.value = 2;
  CHECK(first_bucket_s(one_bucket(c, 4, 100'000'000)) == Approx(free_s).margin(kClock_s));
  c.placement = Placement::scattered;
  CHECK(first_bucket_s(one_bucket(c, 4, 100'000'000)) == Approx(2 * free_s).margin(kClock_s));
  c.oversubscription.value = 1;
  CHECK(first_bucket_s(one_bucket(c, 4, 100'000'000)) == Approx(free_s).margin(kClock_s));
}

TEST_CASE("drawn stragglers cost what the expected maximum says") {
  // The mean of 60 maxima of 256 normals has a standard deviation of 0.35 / sqrt(60) = 0.05 of theirs.
  constexpr double kSpread = 0.03;
  constexpr int kRanks = 256, kSteps = 60;
  Cluster c = sample_cluster(8, 32);
  c.inside.bandwidth.value = c.between.bandwidth.value = 1e18;
  Job job = sample_job(c, kRanks, 1'000'000, kSteps);
  const replay::Stragglers stragglers({0, kSpread}, 7);
  for (int s = 0; s < kSteps; ++s)
    for (int r = 0; r < kRanks; ++r)
      job.factors[static_cast<std::size_t>(s * kRanks + r)] = static_cast<float>(stragglers.factor(s + 1, r));
  const auto outcome = simulate::simulate(job);
  const double mean_s = outcome.steps.back().end_s / kSteps;
  const double expected_s = 0.43 * (1 + kSpread * scaling::expected_maximum(kRanks)) + 0.005;
  CHECK(mean_s == Approx(expected_s).epsilon(0.005));
  CHECK(mean_s > 1.05 * kSampleAlone_s);  // it could have failed
}

TEST_CASE("16,384 ranks: the ring's sum, in little memory") {
  Cluster c = sample_cluster(8, 2048);
  c.between.latency.value = 1e-6;
  Job job = one_bucket(c, 16384, 100'000'000);
  const auto outcome = simulate::simulate(job);
  const auto& bucket = outcome.steps[0].buckets[0];
  CHECK(bucket.end_s - bucket.start_s == Approx(2 * 16383.0 / 16384 * 0.1 + 2 * 2047 * 1e-6).margin(kClock_s));
  CHECK(outcome.peak_bytes < std::int64_t{1} << 30);
}

TEST_CASE("the same job gives the same bits") {
  Cluster c = sample_cluster(8, 8);
  c.between.latency.value = 7e-6, c.inside.latency.value = 3e-7;
  Job job = sample_job(c, 64, 12'345'678, 4);
  const replay::Stragglers stragglers({0.02, 0.03}, 3);
  for (std::size_t i = 0; i < job.factors.size(); ++i)
    job.factors[i] = static_cast<float>(stragglers.factor(1 + static_cast<int>(i) / 64, static_cast<int>(i) % 64));
  const auto a = simulate::simulate(job), b = simulate::simulate(job);
  for (std::size_t s = 0; s < a.steps.size(); ++s) {
    CHECK(a.steps[s].begin_s == b.steps[s].begin_s);
    CHECK(a.steps[s].end_s == b.steps[s].end_s);
    for (std::size_t k = 0; k < 3; ++k) CHECK(a.steps[s].buckets[k].end_s == b.steps[s].buckets[k].end_s);
  }
}

TEST_CASE("a job that does not fit together") {
  Job job = sample_job(sample_cluster(1, 2), 2, 1000);
  job.factors.pop_back();
  CHECK_THROWS_AS(simulate::simulate(job), std::invalid_argument);
  job = sample_job(sample_cluster(1, 2), 2, 1000);
  job.bucket_bytes.pop_back();
  CHECK_THROWS_AS(simulate::simulate(job), std::invalid_argument);
  job = sample_job(sample_cluster(1, 2), 2, 1000);
  job.sharding = Sharding{{1000}, 3000, 0, 0};
  CHECK_THROWS_AS(simulate::simulate(job), std::invalid_argument);
  job.steps.clear();
  CHECK_THROWS_AS(simulate::simulate(job), std::invalid_argument);
}
