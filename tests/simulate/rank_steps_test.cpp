// Steps of several ranks, and their queues of collectives, against times that were added up by hand.
#include "simulate/rank_steps.h"

#include "tests/catch.h"
#include "tests/simulate/samples.h"

using namespace gpumonth;
using namespace gpumonth::simulate;

namespace {

/// Of a block whose parts but attention, modulation and MLP take no time: weights of the block below are wanted when its qkv are ready.
constexpr replay::BlockParts kParts{.modulation = 1, .qkv = 0, .attention = 1, .proj = 0, .mlp = 2};

/// What depth blocks ask for, of which forward takes a share each, before and behind them another; segments of backward alike.
replay::PassPlan pass_plan(std::vector<double> forward) {
  replay::PassPlan plan{.block = kParts, .forward = std::move(forward), .ready = {}, .buckets = {}, .gathers = true};
  const int segments = 5 * plan.depth() + 5;
  for (int s = 0; s < segments; ++s) {
    plan.ready.push_back((s + 1.0) / segments);
    plan.buckets.push_back(s);
  }
  return plan;
}

/// Three blocks: forward 0.1 before them, 0.2 each, 0.3 behind; twenty segments of 0.1 s of backward. No data, 0.5 s of update.
Job three_blocks(int ranks) {
  Job job = tests::sample_job(tests::sample_cluster(1, ranks), ranks, 0, 1);
  job.steps = {{0, 1, 2, 0.5, 0.01}};
  job.bucket_bytes.assign(20, 4);
  job.passes = replay::pass_events(pass_plan({0.1, 0.2, 0.2, 0.2, 0.3}));
  job.full = FullSharding{.depth = 3, .ranks = ranks, .norm_s = 0.04};
  return job;
}

Durations durations(double outer_s, double block_s, double reduce_s) {
  return {.reduce_s = std::vector<double>(20, reduce_s),
          .outer_s = outer_s,
          .block_s = block_s,
          .small_collective_s = 0.002};
}

}  // namespace

TEST_CASE("forward waits for each block's weights, which are asked for two blocks ahead") {
  // Outer unit there at 0.05, block 0 at 0.35, 1 at 0.65. Waits 0.05 and 0.2; block 0 is done at 0.55 and asks for block 2,
  // there at 0.65 + 0.3. Waits 0.1 for block 1, done at 0.85, and 0.1 for block 2, done at 1.15; forward ends at 1.45.
  const SimulatedStep step = rank_steps(three_blocks(2), durations(0.05, 0.3, 0)).at(0);
  REQUIRE(step.buckets.size() == 20);
  CHECK(step.buckets[0].ready_s == Approx(1.55));
  // Block 0 comes again once block 2 is done, at 2.15, and is there when block 1 ends.
  CHECK(step.backward_end_s == Approx(3.45));
  CHECK(step.gathers_waited_s == Approx(0.45));
  CHECK(step.gathers_s == Approx(0.05 + 4 * 0.3));
  CHECK(step.buckets_end_s == Approx(3.45));
  CHECK(step.update_end_s == Approx(3.45 + 0.04 + 0.5));
  CHECK(step.end_s == Approx(step.update_end_s + 0.002 + 0.01));
}

TEST_CASE("in backward weights queue up behind the gradients that were ready before") {
  // 0.12 s each from 1.55 on: seven segments until 2.39, then block 0's weights until 2.69. Block 1 wants them at 2.55.
  const SimulatedStep step = rank_steps(three_blocks(2), durations(0.05, 0.3, 0.12)).at(0);
  CHECK(step.buckets[6].ready_s == Approx(2.15));
  CHECK(step.buckets[6].end_s == Approx(2.39));
  CHECK(step.buckets[7].start_s == Approx(2.69));
  CHECK(step.buckets[10].ready_s == Approx(2.55));
  CHECK(step.buckets[11].ready_s == Approx(2.69 + 0.1));
  CHECK(step.gathers_waited_s == Approx(0.45 + 0.14));
  CHECK(step.backward_end_s == Approx(3.59));
  CHECK(step.buckets_end_s == Approx(2.69 + 13 * 0.12));  // never idle again
}

TEST_CASE("a collective begins when the slowest rank asks for it") {
  Job job = three_blocks(2);
  job.factors = {1, 2};
  // The other is through with block 0 at 0.75, so that block 2 comes at 1.05; rank 0 waits for it from 0.85 on.
  const SimulatedStep step = rank_steps(job, durations(0.05, 0.3, 0)).at(0);
  CHECK(step.buckets[0].ready_s == Approx(1.65));
  // The other is through with forward at 2.15 and ends block 2 at 3.55; with 0.3 block 0 is there at 3.85, and rank 0
  // ends block 1 0.1 s later, and backward 0.8 s after that.
  CHECK(step.backward_end_s == Approx(4.75));
  CHECK(step.gathers_waited_s == Approx(0.55 + 3.85 - 2.65));
}

TEST_CASE("one block, or two, are gathered once") {
  for (const int depth : {1, 2}) {
    Job job = three_blocks(2);
    const std::size_t segments = 5 * static_cast<std::size_t>(depth) + 5;
    job.full->depth = depth;
    job.passes =
        replay::pass_events(pass_plan(std::vector<double>(static_cast<std::size_t>(depth) + 2, 1.0 / (depth + 2))));
    job.bucket_bytes.resize(segments);
    const SimulatedStep step = rank_steps(job, durations(0.05, 0.3, 0)).at(0);
    CHECK(step.buckets.size() == segments);
    CHECK(step.gathers_s == Approx(0.05 + depth * 0.3));
  }
}

namespace {

/// One block, forward 1 s, ten segments in 1 s of backward; of full sharding with groups of so many ranks.
Job one_block(int ranks, int group) {
  Job job = tests::sample_job(tests::sample_cluster(1, ranks), ranks, 0, 1);
  job.steps = {{0, 1, 1, 0, 0}};
  job.bucket_bytes.assign(10, 4);
  job.passes = replay::pass_events(pass_plan({0, 1, 0}));
  job.full = FullSharding{.depth = 1, .ranks = group};
  return job;
}

}  // namespace

TEST_CASE("groups go their own ways until they sum their shares") {
  Job job = one_block(4, 2);
  job.factors = {1, 1, 1, 2};
  Durations d{.reduce_s = std::vector<double>(10, 0.02), .replicas_s = std::vector<double>(10, 0.03)};
  // The second group is through with segment k at 2 + 0.2 (k + 1), and 0.02 s later with its reduction.
  const SimulatedStep step = rank_steps(job, d).at(0);
  CHECK(step.buckets[0].ready_s == Approx(1.1));
  CHECK(step.buckets[0].start_s == Approx(1.1));
  CHECK(step.buckets[0].end_s == Approx(2.2 + 0.02 + 0.03));
  CHECK(step.buckets[1].start_s == Approx(2.25));
  CHECK(step.buckets[1].end_s == Approx(2.4 + 0.02 + 0.03));
  CHECK(step.backward_end_s == Approx(2));
  CHECK(step.buckets_end_s == Approx(4.05));

  // Weights are waited for within a group, where all have come with their data at 0.5; of all four the last has at 1.
  job.steps[0].data_s = 0.5;
  d.outer_s = 0.05, d.block_s = 0.3;
  CHECK(rank_steps(job, d).at(0).gathers_waited_s == Approx(0.35));
  job.full->ranks = 4;
  d.replicas_s.clear();
  CHECK(rank_steps(job, d).at(0).gathers_waited_s == Approx(1.35 - 0.5));
}

TEST_CASE("an all-to-all and a reduction on the same links have half of them each") {
  Job job = tests::sample_job(tests::sample_cluster(1, 2), 2, 0, 1);
  job.steps = {{0, 0, 1, 0, 0}};
  job.bucket_bytes = {4, 4};
  job.passes = {.forward = {},
                .backward = {{replay::PassEvent::Kind::ready, 0, 0.5},
                             {replay::PassEvent::Kind::ready, 1, 0.6},
                             {replay::PassEvent::Kind::exchange, 3, 0.75}}};
  job.sequence = SharedSamples{.ranks = 2};
  Durations d{.reduce_s = {0.4, 0.1}, .exchange_3_s = 0.1};
  SimulatedStep step = rank_steps(job, d).at(0);  // not the same links: reductions until 0.9 and 1.0
  CHECK(step.exchanged_backward_s == Approx(0.1));
  CHECK(step.buckets[1].end_s == Approx(1.0));
  d.shared_links = true;
  step = rank_steps(job, d).at(0);  // all of it is beside a reduction: 0.2 s, and the reductions end 0.1 s later
  CHECK(step.exchanged_backward_s == Approx(0.2));
  CHECK(step.buckets[0].end_s == Approx(1.0));
  CHECK(step.buckets[1].start_s == Approx(1.0));
  CHECK(step.buckets[1].end_s == Approx(1.1));
  CHECK(step.reduces_s == Approx(0.6));
  CHECK(step.backward_end_s == Approx(1.2));
  d.exchange_3_s = 0.3;  // 0.25 s of the queue are left: until it has ended it has half, then the all-to-all has all
  step = rank_steps(job, d).at(0);
  CHECK(step.exchanged_backward_s == Approx(0.55));
  CHECK(step.buckets[0].end_s == Approx(0.75 + 2 * 0.15));
  CHECK(step.buckets[1].end_s == Approx(0.75 + 2 * 0.25));
  CHECK(step.buckets_end_s == Approx(0.75 + 0.55 + 0.25));
}

TEST_CASE("weights that an all-to-all slows come later") {
  Job job = three_blocks(2);
  job.sequence = SharedSamples{.ranks = 2};
  // Behind the wait for block 0, at 0.35, an all-to-all of 0.1 s takes twice as long, until 0.55.
  job.passes.forward.insert(job.passes.forward.begin() + 2, {replay::PassEvent::Kind::exchange, 1, 0.1});
  Durations d = durations(0.05, 0.3, 0);
  d.exchange_1_s = 0.1, d.shared_links = true;
  const SimulatedStep step = rank_steps(job, d).at(0);
  CHECK(step.exchanged_forward_s == Approx(0.2));
  // Block 1 is there at 0.65 + 0.1, when block 0 is done. Block 2 then comes at 1.05, wanted at 0.95.
  CHECK(step.gathers_waited_s == Approx(0.05 + 0.2 + 0.1));
}

TEST_CASE("a second micro-batch finds two blocks, and gathers what it lacks") {
  Job job = three_blocks(2);
  job.micro_batches = 2;
  // Forward 0.05, 0.1 each, 0.15. Waits 0.05, 0.25, 0.2 (block 1 there at 0.65) and 0.2 (block 2 at 0.95), ends at 1.2;
  // block 0 is asked for at 1.55, there at 1.85, wanted at 1.75. From 2.3 on: block 2 asked for at 2.45, wanted at 2.55, there
  // at 2.75; forward ends at 3.0. Block 0 asked for at 3.35, there at 3.65, wanted at 3.55.
  const SimulatedStep step = rank_steps(job, durations(0.05, 0.3, 0)).at(0);
  CHECK(step.gathers_s == Approx(0.05 + 6 * 0.3));
  CHECK(step.gathers_waited_s == Approx(0.05 + 0.25 + 0.2 + 0.2 + 0.1 + 0.2 + 0.1));
  CHECK(step.buckets[0].ready_s == Approx(3.05));
  CHECK(step.backward_end_s == Approx(4.1));
}

TEST_CASE("with full sharding every micro-batch's gradients are reduced, and those before awaited") {
  Job job = three_blocks(2);
  job.micro_batches = 2;
  // 20 reductions from 0.55 on end at 2.55. Block 0 comes behind seven of them, at 1.25, and is wanted at 1.05; block 2 comes behind all
  // and is wanted at 1.95, so that forward ends at 2.8. Then again: 0.2 s for block 0, the last reduction at 2.85 + 2.
  const SimulatedStep step = rank_steps(job, durations(0, 0, 0.1)).at(0);
  CHECK(step.gathers_waited_s == Approx(0.2 + 0.6 + 0.2));
  CHECK(step.buckets[0].ready_s == Approx(2.85));
  CHECK(step.backward_end_s == Approx(4.0));
  CHECK(step.buckets_end_s == Approx(4.85));
  CHECK(step.reduces_s == Approx(4.0));

  Job one = one_block(2, 2);  // no weights to wait for: backward itself waits
  one.micro_batches = 2;
  one.steps = {{0, 0.4, 2, 0, 0}};
  const SimulatedStep waits = rank_steps(one, {.reduce_s = std::vector<double>(10, 0.3)}).at(0);
  CHECK(waits.gathers_waited_s == Approx(3.3 - 1.4));
  CHECK(waits.buckets[0].ready_s == Approx(3.4));

  // groups sum their shares in the last micro-batch alone: ten times 0.05
  one = one_block(2, 2);
  one.full->ranks = 1;
  one.micro_batches = 2;
  const SimulatedStep sums =
      rank_steps(one, {.reduce_s = std::vector<double>(10, 0), .replicas_s = std::vector<double>(10, 0.05)}).at(0);
  CHECK(sums.reduces_s == Approx(0.5));
  CHECK(sums.buckets_end_s == Approx(2.05));
}

TEST_CASE("without full sharding micro-batches send the sum of their gradients") {
  // The second one's backward begins at 0.26 and takes 0.15: ready at 0.31, 0.36 and 0.41.
  Job job = tests::sample_job(tests::sample_cluster(1, 2), 2, 0, 1);
  job.micro_batches = 2;
  const SimulatedStep step = rank_steps(job, {.reduce_s = std::vector<double>(3, 0.15)}).at(0);
  CHECK(step.buckets[0].ready_s == Approx(0.31));
  CHECK(step.buckets[0].end_s == Approx(0.46));
  CHECK(step.backward_end_s == Approx(0.41));
  CHECK(step.buckets_end_s == Approx(0.76));
  CHECK(step.reduces_s == Approx(0.45));
}

TEST_CASE("an all-to-all waits for its group's last rank, and for no other group") {
  Job job = tests::sample_job(tests::sample_cluster(1, 4), 4, 0, 1);
  job.steps = {{0, 1, 0.5, 0, 0}};
  job.bucket_bytes = {4};
  job.passes = {.forward = {{replay::PassEvent::Kind::exchange, 3, 0.25}, {replay::PassEvent::Kind::exchange, 1, 0.75}},
                .backward = {{replay::PassEvent::Kind::exchange, 1, 0.5}, {replay::PassEvent::Kind::ready, 0, 1}}};
  job.sequence = SharedSamples{.ranks = 2};
  job.factors = {1, 2, 1, 1};
  const Durations d{.reduce_s = {0.1}, .exchange_3_s = 0.03, .exchange_1_s = 0.01};
  // Rank 0 comes at 0.25, its neighbour at 0.5: 0.53. Then 1.03 and 1.53: 1.54. Forward ends at 1.79 and 2.04. In backward they come at
  // 2.04 and 2.54: 2.55; rank 0 ends at 2.8, the other at 3.05.
  const SimulatedStep step = rank_steps(job, d).at(0);
  CHECK(step.exchanged_forward_s == Approx(0.28 + 0.51));
  CHECK(step.exchanged_backward_s == Approx(0.51));
  CHECK(step.buckets[0].ready_s == Approx(2.8));
  CHECK(step.buckets[0].end_s == Approx(3.15));
  job.factors = {1, 1, 1, 2};  // rank 0 is not in their group: it waits in the reduction alone
  CHECK(rank_steps(job, d).at(0).exchanged_forward_s == Approx(0.04));
  CHECK(rank_steps(job, d).at(0).buckets[0].ready_s == Approx(1.5 + 0.05));
}
