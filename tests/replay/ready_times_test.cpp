#include "replay/ready_times.h"

#include "tests/catch.h"
#include "tests/replay/samples.h"

using namespace gpumonth;
using namespace gpumonth::replay;
using gpumonth::tests::contains;

namespace {

/// By the plan: a bucket's share is that of its last segment, the last bucket's where a segment ends several.
void check_measured(const ReadyTimes& times) {
  const std::vector<Bucket> plan = samples::plan();
  REQUIRE(plan.size() > 4);
  REQUIRE(times.share.size() == samples::segments().size());
  CHECK_FALSE(times.estimated);
  for (std::size_t k = 0; k < plan.size(); ++k) {
    double expected = 0, count = 0;
    for (std::size_t other = 0; other < plan.size(); ++other) {
      if (plan[other].last_segment != plan[k].last_segment) continue;
      expected += static_cast<double>(other + 1) / static_cast<double>(plan.size());
      count += 1;
    }
    CHECK(times.share[static_cast<std::size_t>(plan[k].last_segment)] == Approx(expected / count));
  }
  CHECK(std::is_sorted(times.share.begin(), times.share.end()));
}

}  // namespace

TEST_CASE("a bucket's ready time is that of its last segment") {
  const ReadyTimes times = ready_times({samples::run()}, samples::segments());
  check_measured(times);
  CHECK_THAT(times.source, contains("4 sampled steps of run-2.h5"));
}

TEST_CASE("so it is in a log of one rank, and in one of two that has them") {
  check_measured(ready_times({samples::run(1)}, samples::segments()));
  runlog::Run without = samples::run(1);
  without.buckets.clear();
  check_measured(ready_times({without, samples::run()}, samples::segments()));
}

TEST_CASE("early logs counted from the start of backward") {
  runlog::Run run = samples::run();
  for (auto& b : run.buckets) {
    const runlog::StepRecord& s = *run.find(b.step);
    b.ready_s -= s.data_s + s.forward_s;
  }
  run.steps[9].data_s = 0.5;  // so that nothing is ready before backward by its own count either
  check_measured(ready_times({run}, samples::segments()));
}

TEST_CASE("without bucket times backward goes on as its FLOPs do") {
  runlog::Run run = samples::run();
  run.buckets.clear();
  const ReadyTimes times = ready_times({run}, samples::segments());
  CHECK(times.estimated);
  CHECK_THAT(times.source, contains("estimated"));
  const auto macs = model::backward_macs(samples::model(), model::Recompute::none);
  REQUIRE(times.share.size() == macs.size());
  for (std::size_t s = 0; s < macs.size(); ++s)
    CHECK(times.share[s] == Approx(static_cast<double>(macs[s]) / static_cast<double>(macs.back())));
  CHECK(times.share.back() == 1);
}

TEST_CASE("buckets of another plan than the configuration's say nothing") {
  runlog::Run run = samples::run();
  for (auto& b : run.buckets) b.bytes /= 10;
  CHECK(ready_times({run}, samples::segments()).estimated);
  run = samples::run();
  run.info.config_toml = samples::config_toml(samples::model(), 0.02);
  CHECK(ready_times({run}, samples::segments()).estimated);
  run = samples::run();
  for (auto& b : run.buckets) b.bytes /= 2;  // bf16 on the wire is the same plan
  check_measured(ready_times({run}, samples::segments()));
}

TEST_CASE("sampled steps of the warm-up do not count") {
  runlog::Run run = samples::run();
  for (auto& s : run.steps) s.phase = s.step <= 10 ? runlog::Phase::warm_up : runlog::Phase::steady;
  for (auto& b : run.buckets)
    if (b.step == 10) b.ready_s = 1;
  const ReadyTimes times = ready_times({run}, samples::segments());
  check_measured(times);
  CHECK_THAT(times.source, contains("3 sampled steps"));
}
