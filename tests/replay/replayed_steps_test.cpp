#include "replay/replayed_steps.h"

#include <cmath>
#include <map>

#include "base/error.h"
#include "tests/catch.h"
#include "tests/replay/samples.h"

using namespace gpumonth;
using namespace gpumonth::replay;
using gpumonth::tests::contains;

namespace {

/// The recorded step that was drawn: forward says which.
int drawn(const ReplayedSteps& steps, std::int64_t step, int rank = 0) {
  return static_cast<int>(std::lround((steps.at(step, rank).forward_s - 10e-3) / 1e-5));
}

}  // namespace

TEST_CASE("steps are drawn in blocks, the same on every rank and for the same seed") {
  const Recording recording = record({samples::run()});
  const ReplayedSteps steps(recording, {}, 7), again(recording, {}, 7), other(recording, {}, 8);
  constexpr int kBlock = 3;  // 40^(1/3) = 3.4
  std::map<int, int> times;
  int same = 0;
  for (int s = 1; s <= 12000; ++s) {
    const int recorded = drawn(steps, s);
    REQUIRE(recorded >= 4);
    REQUIRE(recorded <= 43);
    REQUIRE(drawn(steps, s, 5) == recorded);
    REQUIRE(drawn(again, s) == recorded);
    same += drawn(other, s) == recorded;
    if (s % kBlock != 1) REQUIRE(recorded == (drawn(steps, s - 1) == 43 ? 4 : drawn(steps, s - 1) + 1));
    ++times[recorded];
  }
  CHECK(same < 600);  // one in 40: 300
  CHECK(times.size() == 40);
  for (const auto& [recorded, count] : times) {
    INFO("recorded step " << recorded);
    CHECK(std::abs(count - 300) < 100);  // blocks of 3: sd sqrt(3 x 300) = 30
  }
}

TEST_CASE("without changes a step is as it was recorded") {
  const Recording recording = record({samples::run()});
  const ReplayedSteps steps(recording, {}, 1);
  CHECK(steps.batch_per_rank() == 4);
  const StepTimes s = steps.at(1, 3);
  CHECK(s.data_s == 1e-3);
  CHECK(s.backward_s == 30e-3);
  CHECK(s.optimizer_s == 5e-3);
  CHECK(s.other_s == Approx(0.5e-3));
  CHECK(steps.mean().backward_s == Approx(30e-3));
}

TEST_CASE("another device's speed changes compute alone") {
  const Recording recording = record({samples::run()});
  const StepTimes s = ReplayedSteps(recording, {.compute_scale = 0.5}, 1).at(1, 0);
  CHECK(s.data_s == 1e-3);
  CHECK(s.backward_s == 15e-3);
  CHECK(s.optimizer_s == 2.5e-3);
  CHECK(s.other_s == Approx(0.5e-3));
}

TEST_CASE("one log's times go with the batch, two logs' along a line") {
  runlog::Run small = samples::run(), large = samples::run(2, 43, 12);
  const ReplayedSteps one(record({small}), {.batch_per_rank = 8}, 1);
  CHECK(one.batch_per_rank() == 8);
  CHECK(one.at(1, 0).backward_s == Approx(60e-3));
  CHECK(one.at(1, 0).data_s == Approx(2e-3));
  CHECK(one.at(1, 0).optimizer_s == 5e-3);

  for (auto& s : large.steps) s.backward_s = 70e-3;  // 10 + 5 b ms
  const Recording both = record({small, large});
  CHECK(ReplayedSteps(both, {.batch_per_rank = 4}, 1).at(1, 0).backward_s == Approx(30e-3));
  CHECK(ReplayedSteps(both, {.batch_per_rank = 12}, 1).at(1, 0).backward_s == Approx(70e-3));
  CHECK(ReplayedSteps(both, {.batch_per_rank = 6}, 1).at(1, 0).backward_s == Approx(40e-3));
  CHECK(ReplayedSteps(both, {.batch_per_rank = 100}, 1).at(1, 0).backward_s == Approx(510e-3));
  CHECK(ReplayedSteps(both, {}, 1).batch_per_rank() == 4);

  // A line that would begin at -30 ms: in proportion instead, from the log whose batch is nearest, here that of 12.
  for (auto& s : large.steps) s.backward_s = 150e-3;
  CHECK(ReplayedSteps(record({small, large}), {.batch_per_rank = 8}, 1).mean().backward_s == Approx(100e-3));
}

TEST_CASE("changes out of range are refused") {
  const Recording recording = record({samples::run()});
  const auto refused = [&](const WhatIf& changes) { ReplayedSteps(recording, changes, 1); };
  CHECK_THROWS_WITH(refused({.compute_scale = 0}), contains("compute scale 0"));
  CHECK_THROWS_WITH(refused({.compute_scale = NAN}), contains("compute scale"));
  CHECK_THROWS_WITH(refused({.byte_scale = 2}), contains("byte scale 2"));
  CHECK_THROWS_WITH(refused({.byte_scale = 0}), contains("byte scale 0"));
  CHECK_THROWS_WITH(refused({.batch_per_rank = -1}), contains("-1 samples"));
}

TEST_CASE("what is changed is said in words") {
  CHECK(to_text({}) == "");
  CHECK(to_text({.compute_scale = 0.5,
                 .batch_per_rank = 32,
                 .byte_scale = 0.001,
                 .bucket_mib = 64,
                 .reduce_dtype = "bf16",
                 .sharding = "optimizer",
                 .stragglers = false}) ==
        "compute x 0.5; 32 samples a rank; bytes x 0.001; buckets of 64 MiB; gradients travel in bf16; sharding "
        "optimizer; no stragglers");
}
