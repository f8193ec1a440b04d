// What a replay does on GPUs alone: steps that a CUDA graph repeats with other times, gradients cast by NCCL's reducer, and
// what it refuses. All else is replayed_step_test.cpp's, which runs on GPUs too.
#include "base/error.h"
#include "tests/trainer/replay/source.h"
#include "trainer/replay/replayed_step.h"

using namespace gpumonth;
using namespace gpumonth::trainer;
using gpumonth::tests::contains, gpumonth::tests::ranks, gpumonth::tests::transport, gpumonth::tests::Source;
namespace samples = gpumonth::replay::samples;

namespace {

/// Forward takes 5 and 35 ms in turn, which are further apart than a wait may be late.
runlog::Run uneven() {
  runlog::Run run = samples::run(4);
  for (runlog::StepRecord& s : run.steps) {
    const double forward_s = s.step % 2 == 0 ? 5e-3 : 35e-3;
    s.step_time_s += forward_s - s.forward_s;
    s.forward_s = forward_s;
  }
  run.buckets.clear();
  return run;
}

TEST_CASE("each step takes its own times, also those that a graph repeats") {
  const Source source(uneven());
  const ReplayOptions options = source.options();
  replay_run(options, transport());
  if (ranks().rank() != 0) return;
  const runlog::Run log = source.log();
  const replay::Recording recording = replay::record({uneven()});
  const replay::ReplayedSteps steps(recording, options.changes, options.seed);
  double least_short_s = INFINITY, least_long_s = INFINITY;
  for (const runlog::StepRecord& s : log.steady()) {
    const bool is_short = steps.at(s.step, 0).forward_s < 10e-3;
    (is_short ? least_short_s : least_long_s) = std::min(is_short ? least_short_s : least_long_s, s.forward_s);
  }
  tests::check_time(least_short_s, 5e-3);
  tests::check_time(least_long_s, 35e-3);
}

TEST_CASE("a replay on GPUs says that it was on GPUs, and of what, and measures no power") {
  const Source source(samples::run(4));
  ReplayOptions options = source.options();
  options.changes.reduce_dtype = "bf16";
  replay_run(options, transport());
  if (ranks().rank() != 0) return;
  const runlog::Run log = source.log();
  CHECK(log.info.origin == runlog::Origin::replayed);
  CHECK(log.info.transport == "nccl");
  CHECK(log.info.device_name == "Some CPU");  // whose compute it is
  CHECK(log.info.library_versions.contains("CUDA runtime"));
  CHECK(log.info.power_source.empty());
  CHECK_THAT(log.info.config_toml, contains("backend = \"cuda\"") && contains("wire = \"bf16\""));
  REQUIRE(!log.buckets.empty());
  const std::vector<Bucket> plan = samples::plan();
  for (const auto& b : log.buckets) {
    CHECK(b.bytes == (ranks().size() > 1 ? 2 : 4) * plan[static_cast<std::size_t>(b.bucket)].range.count);
    CHECK(b.ready_s <= b.start_s + 2e-6);
    CHECK(b.start_s <= b.end_s);
  }
}

TEST_CASE("what a GPU cannot stand in for is refused") {
  const Source source(samples::run(4));
  ReplayOptions options = source.options();
  options.compute = ComputeStandIn::busy;
  CHECK_THROWS_WITH(replay_run(options, transport()), contains("--compute busy"));
  options = source.options();
  options.adds = false;
  CHECK_THROWS_WITH(replay_run(options, transport()), contains("--reduce none"));
  ranks().barrier();
  CHECK_FALSE(std::filesystem::exists(source.folder / "out"));
}

}  // namespace
