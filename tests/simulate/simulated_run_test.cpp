// From a recorded run to a simulated one, as a log that others read.
#include "simulate/simulated_run.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "model/communication.h"
#include "model/shard_units.h"
#include "replay/layout.h"
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
  REQUIRE(job.passes.backward.size() == job.bucket_bytes.size());
  CHECK(std::is_sorted(job.passes.backward.begin(), job.passes.backward.end(),
                       [](const auto& a, const auto& b) { return a.share < b.share; }));
  CHECK(job.passes.backward.back().share == Approx(1));
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

TEST_CASE("a sharded optimizer on GPUs: shares are scattered and gathered, the rest of a bucket is not") {
  Plan plan = sample_plan(1);
  plan.recording.info.backend = "cuda";
  plan.changes.sharding = "optimizer";
  plan.changes.bucket_mib = 0.05;
  plan.changes.reduce_dtype = "bf16";
  const Job job = make_job(plan, fast_cluster(), 64);
  REQUIRE(job.sharding);
  REQUIRE(job.sharding->scattered_bytes.size() == job.bucket_bytes.size());
  double scattered = 0, all = 0;
  for (std::size_t b = 0; b < job.bucket_bytes.size(); ++b) {
    const auto count = static_cast<double>(job.bucket_bytes[b]) / 2;
    const double share = std::floor(count / 64 / 4) * 4;  // of each rank, in sixteens of bytes as fp32
    CHECK(job.sharding->scattered_bytes[b] == 2 * 64 * share);
    scattered += job.sharding->scattered_bytes[b], all += 2 * count;
  }
  CHECK(scattered < all);                                // some bucket has a rest
  CHECK(job.sharding->gathered_bytes == 2 * scattered);  // parameters travel in fp32
  CHECK(job.sharding->broadcast_bytes == 2 * (all - scattered));
  CHECK(job.steps[3].optimizer_s == Approx(0.0003 / 64));
  CHECK(job.bucket_bytes == [&] {
    plan.changes.sharding = "none";
    return make_job(plan, fast_cluster(), 64).bucket_bytes;
  }());
  plan.changes.sharding = "optimizer";
  CHECK_FALSE(make_job(plan, fast_cluster(), 1).sharding);
  CHECK(make_job(plan, fast_cluster(), 1).steps[3].optimizer_s == Approx(0.0003));
}

TEST_CASE("an update that was recorded sharded is shared by the simulated ranks instead") {
  Plan plan = sample_plan(2);
  plan.recording.info.backend = "cuda";
  plan.recording.config.sharding = "optimizer";
  plan.changes.stragglers = false;
  CHECK(make_job(plan, fast_cluster(), 8).steps[0].optimizer_s == Approx(2 * 0.0003 / 8));
  CHECK(make_job(plan, fast_cluster(), 1).steps[0].optimizer_s == Approx(2 * 0.0003));
  plan.changes.sharding = "none";
  CHECK(make_job(plan, fast_cluster(), 8).steps[0].optimizer_s == Approx(2 * 0.0003));
}

TEST_CASE("CPU ranks all-reduce their buckets, and share one state on one host") {
  Plan plan = sample_plan(1);
  plan.changes.sharding = "optimizer";
  CHECK_FALSE(make_job(plan, fast_cluster(), 4).sharding);
  CHECK(make_job(plan, fast_cluster(), 4).steps[0].optimizer_s == Approx(0.0003 / 4));
  const Job hosts = make_job(plan, fast_cluster(), 8);
  REQUIRE(hosts.sharding);
  CHECK(hosts.sharding->scattered_bytes == std::vector<double>(hosts.bucket_bytes.size(), 0));
  CHECK(hosts.sharding->gathered_bytes > 0);
  const auto said = notes(plan);
  CHECK(std::any_of(said.begin(), said.end(), [](const auto& n) { return n.find("all-reduced") != n.npos; }));
}

TEST_CASE("a sharded run's log has the gathering as exposed communication, as the trainer logs it") {
  Plan plan = sample_plan(2);
  plan.recording.info.backend = "cuda";
  plan.changes.sharding = "optimizer";
  Cluster c = fast_cluster();
  c.between.bandwidth.value = 1e9;
  const Job job = make_job(plan, c, 8);
  const double gather_s = 7.0 / 8 * job.sharding->gathered_bytes / 1e9 + job.sharding->broadcast_bytes / 1e9;
  const runlog::Run run = simulate_run(plan, c, "slow", 8).run;
  for (const auto& s : run.steps) {
    double buckets_s = 0;
    for (const auto& b : run.buckets)
      if (b.step == s.step) buckets_s += b.end_s - b.start_s;
    CHECK(s.comm_s >= buckets_s + gather_s - 1e-8);  // and the wait for the slowest rank's share
    CHECK(s.exposed_comm_s >= gather_s - 1e-8);
    const double parts = s.data_s + s.forward_s + s.backward_s + s.optimizer_s + s.exposed_comm_s;
    CHECK(s.step_time_s - parts == Approx(0.0001).margin(2e-8));
  }
}

TEST_CASE("full sharding gathers and reduces the bytes that model/communication counts") {
  Plan plan = sample_plan(1);
  plan.changes.sharding = "full";
  plan.changes.stragglers = false;
  Cluster c = sample_cluster(1, 64);  // 1 GB/s between hosts of one rank
  const model::ModelConfig m = tests::sample_model();
  for (const int group : {0, 2, 4})
    for (const char* backend : {"cpu", "cuda"})
      for (const char* dtype : {"fp32", "bf16"}) {
        plan.recording.info.backend = backend, plan.recording.info.dtype = dtype;
        plan.changes.shard_group = group;
        const bool gpu = plan.recording.info.backend == "cuda";
        INFO(backend << " " << dtype << ", groups of " << group);
        const Job job = make_job(plan, c, 8);
        REQUIRE(job.full);
        CHECK_FALSE(job.sharding);
        CHECK(job.steps[0].optimizer_s == Approx(0.0003 / (group > 0 ? group : 8)));
        const auto sent =
            model::sent_parts(m, 8, model::dtype_named(plan.recording.info.dtype),
                              {.ranks = 8, .sharding = model::Sharding::full, .shard_group = group, .gpu = gpu});
        const auto gathered = static_cast<double>(sum(sent, model::SentKind::gathered));
        const auto reduced = static_cast<double>(sum(sent, model::SentKind::reduced));
        const SimulatedStep step = simulate::simulate(job).steps[0];
        CHECK(step.gathers_s == Approx(gathered / 1e9).epsilon(1e-5));
        CHECK(step.reduces_s ==
              Approx(reduced / 1e9).epsilon(2e-4));  // what is left over of equal shares is all-reduced
        const runlog::StepRecord logged = simulate_run(plan, c, "some", 8).run.steps[0];
        CHECK(logged.gathered_bytes == Approx(gathered).margin(4));
        CHECK(logged.reduced_bytes == Approx(reduced).margin(4));
        CHECK(logged.gather_s == Approx(step.gathers_s));
      }
  plan.changes.shard_group = 0;
  CHECK_FALSE(make_job(plan, c, 1).full);
}

TEST_CASE("micro-batches: full sharding gathers and reduces in each, other layouts send their sum") {
  Plan plan = sample_plan(1);
  plan.changes.accumulate = 4;
  plan.changes.stragglers = false;
  const Cluster c = sample_cluster(1, 64);
  const model::ModelConfig m = tests::sample_model();
  const Job whole = make_job(plan, c, 8);
  CHECK(whole.micro_batches == 4);
  // ready in the last of four backwards of 0.5 ms, behind all forwards: what one micro-batch has within its own
  plan.changes.accumulate = 0;
  const Job once = make_job(plan, c, 8);
  for (std::size_t b = 0; b < once.passes.backward.size(); ++b)
    CHECK(whole.passes.backward[b].share == Approx(once.passes.backward[b].share));
  const SimulatedStep of_whole = simulate::simulate(whole).steps[0];
  CHECK(of_whole.buckets[0].ready_s - of_whole.begin_s ==
        Approx(0.0001 + 0.001 + 0.0015 + 0.0005 * once.passes.backward[0].share));
  plan.changes.accumulate = 4;
  plan.changes.sharding = "full";
  for (const int group : {0, 2}) {
    plan.changes.shard_group = group;
    const auto sent =
        model::sent_parts(m, 8, model::Dtype::fp32,
                          {.ranks = 8, .sharding = model::Sharding::full, .shard_group = group, .accumulate = 4});
    const runlog::Run run = simulate_run(plan, c, "some", 8).run;
    CHECK(run.steps[0].gathered_bytes == Approx(static_cast<double>(sum(sent, model::SentKind::gathered))).margin(4));
    CHECK(run.steps[0].reduced_bytes == Approx(static_cast<double>(sum(sent, model::SentKind::reduced))).margin(4));
    CHECK_THAT(run.info.config_toml, contains("accumulate = 4"));
    for (const auto& s : run.steps) {
      const double parts = s.data_s + s.forward_s + s.backward_s + s.optimizer_s + s.exposed_comm_s;
      CHECK(s.step_time_s - parts == Approx(0.0001).margin(2e-8));
    }
  }
  plan.changes.accumulate = 3;
  CHECK_THROWS_WITH(make_job(plan, c, 8), contains("8 samples a rank are not 3 micro-batches"));
}

TEST_CASE(
    "ranks that share samples: a share of the compute, and all-to-alls of the bytes that model/communication counts") {
  Plan plan = sample_plan(1);
  plan.changes.stragglers = false;
  plan.changes.sequence_parallel = 2;
  const Cluster c = sample_cluster(1, 64);  // 1 GB/s between hosts of one rank
  const model::ModelConfig m = tests::sample_model();
  for (const std::string recompute : {"none", "linear", "full"})
    for (const char* dtype : {"fp32", "bf16"})
      for (const int accumulate : {1, 2}) {
        plan.recording.info.dtype = dtype, plan.recording.config.recompute = recompute;
        plan.recording.config.model.depth = m.depth;
        plan.changes.accumulate = accumulate;
        INFO(recompute << " " << dtype << " " << accumulate);
        const auto sent = model::sent_parts(m, 8, model::dtype_named(dtype),
                                            {.ranks = 8,
                                             .sequence_ranks = 2,
                                             .recompute = model::recompute_named(recompute),
                                             .accumulate = accumulate});
        const auto exchanged = static_cast<double>(sum(sent, model::SentKind::exchanged));
        const SimulatedRun simulated = simulate_run(plan, c, "some", 8);
        const runlog::StepRecord& s = simulated.run.steps[0];
        CHECK(s.exchanged_bytes == std::llround(exchanged));
        CHECK(s.exchange_s == Approx(exchanged / 1e9).epsilon(1e-4));
        CHECK(s.samples == 8 * 4);
        const auto share = replay::share_of_samples(plan.recording.config, 2);
        CHECK(s.forward_s + s.backward_s - s.exchange_s == Approx(0.001 * share.forward + 0.002 * share.backward));
        const double parts = s.data_s + s.forward_s + s.backward_s + s.optimizer_s + s.exposed_comm_s;
        CHECK(s.step_time_s - parts == Approx(0.0001).margin(2e-8));
      }
  // 16 tokens of a width of 64: of 2 (12 x 16 + 2 x 16^2 / 64 + 6) + ... a rank of two has half but for the conditioning
  const double h = 64, blocks = 2 * (12 * 16 * h * h + 2 * 16 * 16 * h),
               conditioning = 2 * 6 * h * h + 2 * h * h + 256 * h + h * h;
  const double ends = 16 * 16 * h + 16 * 32 * h;
  CHECK(replay::share_of_samples(plan.recording.config, 2).forward ==
        Approx((0.5 * (blocks + ends) + conditioning) / (blocks + ends + conditioning)));
  plan.changes.sharding = "full";
  const runlog::Run both = simulate_run(plan, c, "some", 8).run;
  CHECK(both.info.sequence_ranks == 2);
  CHECK(both.info.gathers_weights);
  CHECK_THAT(both.info.config_toml, contains("sequence_parallel = 2"));
  plan.changes.sequence_parallel = 4;
  CHECK_THROWS_WITH(make_job(plan, c, 8), contains("--sequence-parallel 4: 4 ranks cannot share 2 heads"));
  plan.changes.sequence_parallel = 2;
  CHECK_THROWS_WITH(make_job(plan, c, 3), contains("--sequence-parallel 2 does not divide 3 ranks"));
  plan.recording.config.objective = "consistency";
  CHECK_THROWS_WITH(make_job(plan, c, 8), contains("is a distillation"));
}

TEST_CASE("logs of other layouts are simulated by their compute") {
  runlog::Run recorded = tests::sample_run(4);
  replay::RecordedConfig c = replay::recorded_config(recorded);
  c.sharding = "full", c.shard_group = 2;
  recorded.info.config_toml = replay::with_communication(recorded.info.config_toml, c);
  recorded.info.gathers_weights = true;
  for (auto& s : recorded.steps) s.step_time_s += 0.002, s.exposed_comm_s += 0.002;
  Plan plan{replay::record({recorded}), {}, 2, 1};
  plan.changes.stragglers = false;
  const Job as_recorded = make_job(plan, fast_cluster(), 8);
  REQUIRE(as_recorded.full);
  CHECK(as_recorded.full->ranks == 2);
  CHECK(as_recorded.steps[0].forward_s == Approx(0.001));
  CHECK(as_recorded.steps[0].other_s == Approx(0.0001));
  CHECK(as_recorded.steps[0].optimizer_s == Approx(0.0003));  // of groups of as many
  plan.changes.sharding = "none";
  CHECK_FALSE(make_job(plan, fast_cluster(), 8).full);
  CHECK(make_job(plan, fast_cluster(), 8).steps[0].optimizer_s == Approx(2 * 0.0003));
  plan.changes.shard_group = 4;
  CHECK_THROWS_WITH(make_job(plan, fast_cluster(), 8), contains("give both, or leave it out"));

  recorded = tests::sample_run(4);
  c = replay::recorded_config(recorded);
  c.sequence_parallel = 2;
  recorded.info.config_toml = replay::with_communication(recorded.info.config_toml, c);
  recorded.info.sequence_ranks = 2;
  for (auto& s : recorded.steps) s.exchange_s = 0.0004, s.samples = 16;
  Plan shared{replay::record({recorded}), {}, 2, 1};
  shared.changes.stragglers = false;
  const Job pairs = make_job(shared, fast_cluster(), 8);
  REQUIRE(pairs.sequence);
  CHECK(pairs.batch_per_rank == 8);
  CHECK(pairs.steps[0].forward_s == Approx(0.0008));
  shared.changes.sequence_parallel = 1;  // a whole sample takes as much more as its multiply-adds are
  const Job alone = make_job(shared, fast_cluster(), 8);
  CHECK_FALSE(alone.sequence);
  CHECK(alone.steps[0].forward_s == Approx(0.0008 / replay::share_of_samples(shared.recording.config, 2).forward));
}

TEST_CASE("an all-to-all over leaves shares their uplinks") {
  Job job = tests::sample_job(sample_cluster(1, 4), 4, 0, 1);
  job.passes.forward = {{replay::PassEvent::Kind::exchange, 1, 0.5}};
  job.sequence = SharedSamples{.ranks = 4, .tensor_bytes = 100e6};
  // a host sends 75 MB; behind uplinks of 1 GB/s two hosts send 50 MB each to others' leaves
  CHECK(simulate::simulate(job).steps[0].exchanged_forward_s == Approx(0.075).epsilon(1e-6));
  job.cluster.hosts_per_leaf.value = 2, job.cluster.oversubscription.value = 2;
  CHECK(simulate::simulate(job).steps[0].exchanged_forward_s == Approx(0.1).epsilon(1e-6));
  job.sequence->ranks = 2;  // neighbours below one leaf
  CHECK(simulate::simulate(job).steps[0].exchanged_forward_s == Approx(0.05).epsilon(1e-6));
}

TEST_CASE("groups of ranks have to fit the job and its hosts") {
  Plan plan = sample_plan(1);
  plan.changes.sharding = "full";
  const auto refused = [&](int group, int ranks, const char* says) {
    plan.changes.shard_group = group;
    CHECK_THROWS_WITH(require_layout(plan, fast_cluster(), ranks), contains(says));
  };
  refused(3, 8, "--shard-group 3 does not divide 8 ranks");
  refused(6, 12, "neither divide a host of 4 ranks nor fill hosts");
  plan.changes.shard_group = 8;
  CHECK_NOTHROW(require_layout(plan, fast_cluster(), 16));
  const runlog::Run run = simulate_run(plan, fast_cluster(), "fast", 16).run;
  CHECK_THAT(run.info.config_toml, contains("shard_group = 8"));
  CHECK_THAT(run.info.source_changes, contains("sharding full; groups of 8; 16 ranks"));
}

TEST_CASE("a fully sharded run's log adds up, and with infinite links is the recorded step") {
  Plan plan = sample_plan(2);
  plan.changes.sharding = "full";
  Cluster slow = fast_cluster();
  slow.between.bandwidth.value = 1e9;
  for (const Cluster& c : {fast_cluster(), slow}) {
    const runlog::Run run = simulate_run(plan, c, "some", 8).run;
    CHECK(run.buckets.size() == 10 * 15);  // two blocks of five segments, and five
    for (const auto& s : run.steps) {
      const double parts = s.data_s + s.forward_s + s.backward_s + s.optimizer_s + s.exposed_comm_s;
      CHECK(s.step_time_s - parts == Approx(0.0001).margin(2e-8));
      CHECK(s.exposed_comm_s >= 0);
    }
  }
  plan.changes.stragglers = false;
  const SimulatedRun fast = simulate_run(plan, fast_cluster(), "fast", 8);
  // recorded by two CPU ranks of one host, which shared the update
  CHECK(fast.step_s == Approx(0.0035 - 0.0003 + 2 * 0.0003 / 8).epsilon(1e-4));
  // what is no block, and the first block, are waited for before anything is computed: 7/8 of their bytes at 1 GB/s
  const model::ShardUnits units = model::shard_units(tests::sample_model());
  CHECK(simulate_run(plan, slow, "slow", 8).exposed_s >
        7.0 / 8 * 4 * static_cast<double>(units.outer + units.block()) / 1e9);
}

TEST_CASE("buckets have the bytes that a training of two ranks logged, sharded or not") {
  const runlog::Run training =
      runlog::read(GPUMONTH_SOURCE_DIR "/docs/measurements/2026-11-23-cpu-zen5/weak-b4-n2-r1.h5");
  REQUIRE(training.info.world_size == 2);
  Plan plan{replay::record({training}), {}, 1, 1};
  for (const char* sharding : {"none", "optimizer"}) {
    plan.changes.sharding = sharding;
    for (const char* backend : {"cpu", "cuda"}) {
      plan.recording.info.backend = backend;
      const runlog::Run simulated = simulate_run(plan, sample_cluster(1, 2), "two hosts", 2).run;
      REQUIRE(simulated.buckets.size() == 33);
      REQUIRE(training.buckets.size() >= 33);
      for (std::size_t b = 0; b < 33; ++b) {
        CHECK(simulated.buckets[b].bucket == training.buckets[b].bucket);
        CHECK(simulated.buckets[b].bytes == training.buckets[b].bytes);
      }
    }
  }
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
  Plan plan = sample_plan(1);
  runs[0].info.backend = plan.recording.info.backend = "cuda";  // CPU ranks of one host would share the update
  for (const int n : {2, 8, 32}) runs.push_back(simulate_run(plan, fast_cluster(), "fast", n).run);
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
