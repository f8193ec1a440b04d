// From a recorded run to a simulated one, as a log that others read.
#include "simulate/simulated_run.h"

#include <numeric>

#include "runlog/reader.h"
#include "runlog/writer.h"
#include "scaling/curve_of_runs.h"
#include "tests/catch.h"
#include "tests/command.h"
#include "tests/simulate/samples.h"

using namespace gpumonth;
using namespace gpumonth::simulate;
using tests::contains;
using tests::sample_cluster;

namespace {

Plan sample_plan(int recorded_ranks) { return {replay::record({tests::sample_run(recorded_ranks)}), {}, 10, 1}; }

Cluster fast_cluster() {
  Cluster c = sample_cluster(4, 64);
  c.inside.bandwidth.value = c.between.bandwidth.value = 1e18;
  return c;
}

}  // namespace

TEST_CASE("a job takes the recorded times and the trainer's buckets") {
  Plan plan = sample_plan(1);
  const Job job = make_job(plan, fast_cluster(), 8);
  CHECK(job.steps.size() == 10);
  CHECK(job.factors.size() == 80);
  CHECK(job.steps[3].backward_s == Approx(0.002));
  CHECK(job.steps[3].other_s == Approx(0.0001));
  const auto all = std::accumulate(job.bucket_bytes.begin(), job.bucket_bytes.end(), std::int64_t{0});
  std::int64_t values = 0;
  for (const auto& segment : plan.recording.segments) values += segment.count;
  CHECK(all == 4 * values);
  CHECK(std::is_sorted(job.steps[0].ready_s.begin(), job.steps[0].ready_s.end()));
  CHECK(job.steps[0].ready_s.back() == Approx(0.002));
  plan.changes.reduce_dtype = "bf16";
  plan.changes.bucket_mib = 0.05;
  plan.changes.compute_scale = 0.5;
  const Job changed = make_job(plan, fast_cluster(), 8);
  CHECK(changed.bucket_bytes.size() > job.bucket_bytes.size());
  CHECK(std::accumulate(changed.bucket_bytes.begin(), changed.bucket_bytes.end(), std::int64_t{0}) == 2 * values);
  CHECK(changed.steps[3].backward_s == Approx(0.001));
}

TEST_CASE("stragglers of the log are drawn for each rank, and can be left out") {
  Plan plan = sample_plan(4);
  const Job drawn = make_job(plan, fast_cluster(), 64);
  CHECK(drawn.factors[0] != drawn.factors[1]);
  CHECK(drawn.steps[0].backward_s == Approx(0.002 / 0.98).epsilon(1e-6));  // rank 0 was one of the fast ones
  plan.changes.stragglers = false;
  const Job alike = make_job(plan, fast_cluster(), 64);
  CHECK(alike.factors == std::vector<float>(640, 1.0f));
  CHECK(alike.steps[0].backward_s == Approx(0.002));
}

TEST_CASE("a simulated run is a log that is read as simulated") {
  const tests::TemporaryFolder folder;
  const SimulatedRun simulated = simulate_run(sample_plan(2), fast_cluster(), "a fast cluster", 16);
  CHECK(simulated.hosts == 4);
  CHECK(simulated.peak_bytes > 0);
  runlog::write(folder.path() / "s.h5", simulated.run);
  const runlog::Run run = runlog::read(folder.path() / "s.h5");
  CHECK(run.info.origin == runlog::Origin::simulated);
  CHECK(run.info.source_run == "sample.h5");
  CHECK_THAT(run.info.source_changes, contains("16 ranks on a fast cluster"));
  CHECK(run.info.world_size == 16);
  CHECK(run.info.global_batch == 128);
  REQUIRE(run.info.hostnames.size() == 16);
  CHECK(run.info.hostnames[3] == run.info.hostnames[0]);
  CHECK(run.info.hostnames[4] != run.info.hostnames[3]);
  REQUIRE(run.steps.size() == 10);
  CHECK(run.rank_step_time_s.size() == 160);
  for (const auto& s : run.steps) {
    CHECK(s.phase == runlog::Phase::steady);
    CHECK(s.samples == 128);
    CHECK(s.tokens == 128 * 16);
    const double parts = s.data_s + s.forward_s + s.backward_s + s.optimizer_s + s.exposed_comm_s;
    CHECK(s.step_time_s - parts == Approx(0.0001).margin(1e-8));  // what no column claimed
    CHECK(s.exposed_comm_s >= 0);
  }
  const auto slowest = std::max_element(run.rank_step_time_s.begin(), run.rank_step_time_s.begin() + 16);
  CHECK(run.steps[0].step_time_s == Approx(*slowest + 0.0001).epsilon(1e-6));  // nothing else takes time
  CHECK(std::all_of(run.buckets.begin(), run.buckets.end(),
                    [](const auto& b) { return b.ready_s <= b.start_s && b.start_s <= b.end_s; }));
}

TEST_CASE("simulated runs stand on one curve with the recorded one, and rise with their ranks") {
  std::vector<runlog::Run> runs = {tests::sample_run(1)};
  for (const int n : {2, 8, 32}) runs.push_back(simulate_run(sample_plan(1), fast_cluster(), "fast", n).run);
  for (std::size_t i = 1; i < runs.size(); ++i) runs[i].path = "s" + std::to_string(i);
  const auto curve = scaling::curve_of_runs(runs);
  REQUIRE(curve.points.size() == 4);
  for (const auto& point : curve.points)
    CHECK(point.samples_per_s == Approx(static_cast<double>(point.ranks) * 8 / 0.0035).epsilon(1e-5));
}

TEST_CASE("the same plan gives the same log, another seed another one") {
  Plan plan = sample_plan(2);
  const auto a = simulate_run(plan, fast_cluster(), "fast", 16), b = simulate_run(plan, fast_cluster(), "fast", 16);
  plan.seed = 2;
  const auto c = simulate_run(plan, fast_cluster(), "fast", 16);
  for (std::size_t s = 0; s < 10; ++s) CHECK(a.run.steps[s].step_time_s == b.run.steps[s].step_time_s);
  CHECK(a.run.rank_step_time_s == b.run.rank_step_time_s);
  CHECK(a.run.rank_step_time_s != c.run.rank_step_time_s);
}
