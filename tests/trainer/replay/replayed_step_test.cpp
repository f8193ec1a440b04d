// A recorded step in the place of the DiT's: the loop logs the times that were recorded, whoever replays them, and where.
#include "trainer/replay/replayed_step.h"

#include "base/error.h"
#include "tests/trainer/replay/source.h"

using namespace gpumonth;
using namespace gpumonth::trainer;
using gpumonth::tests::contains, gpumonth::tests::ranks, gpumonth::tests::transport;
using gpumonth::tests::Source, gpumonth::tests::least_of, gpumonth::tests::check_time;
namespace fs = std::filesystem;
namespace samples = gpumonth::replay::samples;

namespace {

using S = runlog::StepRecord;

TEST_CASE("a replay's log has the recorded times, this launch's ranks and its source") {
  const Source source(samples::run(4));
  ReplayOptions options = source.options();
  const ReplayResult result = replay_run(options, transport());
  CHECK(result.run.last_step == 33);
  CHECK(result.run.checkpoint.empty());
  CHECK(result.lateness.share >= 0);
  if (ranks().rank() != 0) return;

  const runlog::Run log = source.log();
  CHECK(log.clean_close);
  CHECK(log.info.origin == runlog::Origin::replayed);
  CHECK(log.info.source_run == options.logs[0]);
  CHECK(log.info.source_changes == "no stragglers");
  CHECK(log.info.device_name == "Some CPU");
  CHECK(log.info.gemm_peak_flops_per_s == 100e9);
  CHECK(log.info.model_name == "dit-s-2");
  CHECK(log.info.world_size == ranks().size());
  CHECK(log.info.global_batch == 4 * ranks().size());
  REQUIRE(log.steps.size() == 33);
  CHECK(log.steps[0].samples == 4 * ranks().size());
  CHECK(log.steps[0].tokens == 16 * 4 * ranks().size());
  CHECK(log.steps[5].loss == 0);
  // a backward that begins late ends in time, and so does a batch behind a late update
  check_time(least_of(log, [](const S& x) { return x.forward_s + x.backward_s; }), 40.04e-3);
  check_time(least_of(log, [](const S& x) { return x.optimizer_s; }), 5e-3);
  check_time(least_of(log, [](const S& x) { return x.optimizer_s + x.data_s; }), 6e-3);
  const double step_s = least_of(log, [](const S& x) { return x.step_time_s - x.exposed_comm_s; });
  CHECK(step_s >= 46.04e-3);
  CHECK(step_s <= 47e-3 + tests::most_late_s());  // with 0.5 ms of other_s
}

TEST_CASE("buckets are handed over at their recorded times") {
  const Source source(samples::run(4));
  ReplayOptions options = source.options();
  options.steps = 100;  // every tenth has its buckets logged
  replay_run(options, transport());
  if (ranks().rank() != 0) return;
  const runlog::Run log = source.log();
  const std::vector<Bucket> plan = samples::plan();
  std::vector<std::vector<double>> ready(plan.size());
  for (const auto& b : log.buckets) {
    const runlog::StepRecord& step = *log.find(b.step);
    CHECK(b.bytes == 4 * plan[static_cast<std::size_t>(b.bucket)].range.count);
    // since forward was to begin
    ready[static_cast<std::size_t>(b.bucket)].push_back(b.ready_s - step.data_s);
  }
  const replay::ReadyTimes recorded = replay::ready_times({samples::run(4)}, samples::segments());
  for (std::size_t k = 0; k < plan.size(); ++k) {
    INFO("bucket " << k);
    REQUIRE(ready[k].size() == 10);
    check_time(*std::min_element(ready[k].begin(), ready[k].end()),
               10.04e-3 + 30e-3 * recorded.share[static_cast<std::size_t>(plan[k].last_segment)]);
  }
}

TEST_CASE("bytes are scaled with their buckets, and need not be added") {
  const Source source(samples::run(4));
  ReplayOptions options = source.options();
  options.changes.byte_scale = 0.1;
  options.changes.reduce_dtype = "bf16";
  options.changes.sharding = "optimizer";
  options.changes.compute_scale = 0.5;
  const bool on_gpu = transport().gpu() >= 0;  // which always adds
  options.adds = on_gpu;
  replay_run(options, transport());
  if (ranks().rank() != 0) return;
  const runlog::Run log = source.log();
  CHECK(log.info.source_changes ==
        std::string("compute x 0.5; bytes x 0.1; gradients travel in bf16; sharding optimizer; no stragglers") +
            (on_gpu ? "" : "; gradients sent, not added"));
  double bytes = 0, whole = 0;
  for (const auto& b : log.buckets)
    if (b.step == 20) bytes += static_cast<double>(b.bytes);
  for (const Segment& s : samples::segments()) whole += 4 * static_cast<double>(s.count);
  // one rank sends none, and logs them as they lie in memory
  CHECK(bytes == Approx((ranks().size() == 1 ? 0.1 : 0.05) * whole).epsilon(0.01));
  check_time(least_of(log, [](const S& x) { return x.forward_s + x.backward_s; }), 20.02e-3);
  check_time(least_of(log, [](const S& x) { return x.optimizer_s; }), 2.5e-3 / ranks().size());
}

TEST_CASE("stragglers are waited for, and the log says who they are") {
  runlog::Run run = samples::run(8);
  for (int i = 4; i <= 43; ++i) {
    run.rank_steps.push_back(i);
    for (int r = 0; r < 8; ++r) run.rank_step_time_s.push_back(0.046f * (1 + 0.1f * (static_cast<float>(r) - 3.5f)));
  }
  const Source source(run);
  ReplayOptions options = source.options();
  options.changes.stragglers = true;
  replay_run(options, transport());
  if (ranks().rank() != 0) return;
  const runlog::Run log = source.log();
  const replay::Recording recording = replay::record({run});
  const replay::ReplayedSteps steps(recording, options.changes, options.seed);
  double slowest_s = 0;
  for (int r = 0; r < ranks().size(); ++r) {
    const replay::StepTimes t = steps.at(20, r);
    const double busy_s = t.data_s + t.forward_s + t.backward_s + t.optimizer_s;
    slowest_s = std::max(slowest_s, busy_s);
    CHECK(log.rank_step_time_s[static_cast<std::size_t>(19 * ranks().size() + r)] >= busy_s - 1e-5);
  }
  CHECK(log.steps[19].step_time_s >= slowest_s);
}

TEST_CASE("sleeps that this machine cannot keep are no replay") {
  const Source source(samples::run(4));
  ReplayOptions options = source.options();
  options.most_late = 0;  // none ends to the nanosecond
  CHECK_THROWS_WITH(replay_run(options, transport()), contains("sleeps ended") && contains("is no replay"));
  ranks().barrier();
  CHECK_FALSE(fs::exists(source.folder / "out" / "run.h5"));
}

TEST_CASE("a log that is there, and one that cannot be replayed, are refused") {
  const Source source(samples::run(4));
  ReplayOptions options = source.options();
  options.changes.byte_scale = -1;
  CHECK_THROWS_WITH(replay_run(options, transport()), contains("byte scale -1"));
  options = source.options();
  options.logs.push_back((source.folder / "none.h5").string());
  CHECK_THROWS_WITH(replay_run(options, transport()), contains("none.h5"));
  ranks().barrier();
  CHECK_FALSE(fs::exists(source.folder / "out"));
}

}  // namespace
