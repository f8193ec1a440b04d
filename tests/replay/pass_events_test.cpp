// The order of what passes ask for, against trainer/dit's, and their moments against shares that a reader can add up.
#include "replay/pass_events.h"

#include "model/gradient_segments.h"
#include "replay/ready_times.h"
#include "tests/catch.h"
#include "tests/replay/samples.h"

using namespace gpumonth;
using namespace gpumonth::replay;
using Kind = PassEvent::Kind;

namespace {

/// Three blocks whose parts take 1, 2, 4, 1 and 2 of 10; forward 0.1, three times 0.2, 0.3; twenty segments of backward alike.
PassPlan three_blocks() {
  PassPlan plan{.block = {.modulation = 1, .qkv = 2, .attention = 4, .proj = 1, .mlp = 2},
                .forward = {0.1, 0.2, 0.2, 0.2, 0.3},
                .ready = {},
                .buckets = {}};
  for (int s = 0; s < 20; ++s) {
    plan.ready.push_back(0.05 * (s + 1));
    plan.buckets.push_back(s);
  }
  return plan;
}

void check_event(const PassEvent& event, Kind kind, int index, double share) {
  CHECK(event.kind == kind);
  CHECK(event.index == index);
  CHECK(event.share == Approx(share));
}

}  // namespace

TEST_CASE("without sharding and shared samples a pass asks for its buckets alone") {
  PassPlan plan = three_blocks();
  plan.buckets = {3, 3, 11, 19};  // a segment that is cut into two
  const PassEvents events = pass_events(plan);
  CHECK(events.forward.empty());
  REQUIRE(events.backward.size() == 4);
  check_event(events.backward[0], Kind::ready, 0, 0.2);
  check_event(events.backward[1], Kind::ready, 1, 0.2);
  check_event(events.backward[2], Kind::ready, 2, 0.6);
  check_event(events.backward[3], Kind::ready, 3, 1);
}

TEST_CASE("all-to-alls stand where attention is") {
  PassPlan plan = three_blocks();
  plan.exchanges = true;
  plan.buckets.clear();
  const PassEvents events = pass_events(plan);
  REQUIRE(events.forward.size() == 6);
  check_event(events.forward[0], Kind::exchange, 3, 0.1 + 0.2 * 0.3);
  check_event(events.forward[1], Kind::exchange, 1, 0.1 + 0.2 * 0.7);
  check_event(events.forward[2], Kind::exchange, 3, 0.3 + 0.2 * 0.3);
  REQUIRE(events.backward.size() == 6);
  // the topmost block's segments end at 0.15, 0.2, 0.25 (proj), 0.3 (qkv): proj's data 1, attention 8, qkv's weights 2 of 11
  check_event(events.backward[0], Kind::exchange, 1, 0.25 + 0.05 * 1 / 11);
  check_event(events.backward[1], Kind::exchange, 3, 0.25 + 0.05 * 9 / 11);
}

TEST_CASE("a block that is computed again exchanges again what was not kept") {
  PassPlan plan = three_blocks();
  plan.exchanges = true;
  plan.buckets.clear();
  plan.recompute = model::Recompute::full;
  // Block 0 of three is computed again at the end of block 1, from 0.55 to 0.6: qkv's data 2, then 2 + 4 + 1 + 2, modulation 1.
  PassEvents events = pass_events(plan);
  REQUIRE(events.backward.size() == 8);
  check_event(events.backward[4], Kind::exchange, 3, 0.55 + 0.05 * 4 / 12);
  check_event(events.backward[5], Kind::exchange, 1, 0.55 + 0.05 * 8 / 12);
  plan.recompute = model::Recompute::linear;
  events = pass_events(plan);
  REQUIRE(events.backward.size() == 7);
  check_event(events.backward[4], Kind::exchange, 3, 0.55 + 0.05 * 4 / 8);
}

TEST_CASE("weights are needed before a block, and before the end of the block above in backward") {
  PassPlan plan = three_blocks();
  plan.gathers = true;
  const PassEvents events = pass_events(plan);
  REQUIRE(events.forward.size() == 7);
  check_event(events.forward[0], Kind::need, kNoBlock, 0);
  check_event(events.forward[1], Kind::need, 0, 0.1);
  check_event(events.forward[2], Kind::done, 0, 0.3);
  check_event(events.forward[3], Kind::need, 1, 0.3);
  check_event(events.forward[6], Kind::done, 2, 0.7);
  REQUIRE(events.backward.size() == 25);
  check_event(events.backward[6], Kind::need, 1,
              0.3 + 0.05 * 2 / 3);  // behind qkv's data, 2, before the modulation's 1
  check_event(events.backward[7], Kind::ready, 6, 0.35);
  check_event(events.backward[8], Kind::done, 2, 0.35);
  check_event(events.backward[21], Kind::done, 0, 0.85);
}

TEST_CASE("a model's shares add up, and moments of a pass ascend") {
  const model::ModelConfig m = samples::model();
  const std::vector<double> forward = forward_shares(m);
  double sum = 0;
  for (const double share : forward) sum += share;
  CHECK(sum == Approx(1));
  PassPlan plan{.block = block_parts(m),
                .forward = forward,
                .ready = ready_times({samples::run()}, samples::segments()).share,
                .buckets = {},
                .gathers = true,
                .exchanges = true,
                .recompute = model::Recompute::full};
  for (int s = 0; s < model::SegmentOrder{m.depth}.count(); ++s) plan.buckets.push_back(s);
  const PassEvents events = pass_events(plan);
  for (const auto* pass : {&events.forward, &events.backward})
    for (std::size_t i = 1; i < pass->size(); ++i) CHECK((*pass)[i - 1].share <= (*pass)[i].share + 1e-12);
}
