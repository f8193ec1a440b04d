// Full sharding's queue of collectives against times that were added up by hand.
#include "simulate/full_sharding.h"

#include "tests/catch.h"
#include "tests/simulate/samples.h"

using namespace gpumonth;
using namespace gpumonth::simulate;

namespace {

/// Three blocks: forward 0.1 before them, 0.2 each, 0.3 behind; twenty segments of 0.1 s of backward. No data, 0.5 s of update.
Job three_blocks(int ranks) {
  Job job = tests::sample_job(tests::sample_cluster(1, ranks), ranks, 0, 1);
  WorkStep work{0, 1, 2, 0.5, 0.01, {}};
  for (int s = 1; s <= 20; ++s) work.ready_s.push_back(0.1 * s);
  job.steps = {work};
  job.bucket_bytes.assign(20, 4);
  job.full = FullSharding{.depth = 3,
                          .forward_shares = {0.1, 0.2, 0.2, 0.2, 0.3},
                          .scattered_bytes = std::vector<double>(20, 0),
                          .norm_s = 0.04};
  return job;
}

FullDurations durations(double outer_s, double block_s, double reduce_s) {
  return {outer_s, block_s, std::vector<double>(20, reduce_s), 0.002};
}

}  // namespace

TEST_CASE("forward waits for each block's weights, which are asked for two blocks ahead") {
  // Outer unit there at 0.05, block 0 at 0.35, 1 at 0.65. Waits 0.05 and 0.2; block 0 is done at 0.55 and asks for block 2,
  // there at 0.65 + 0.3. Waits 0.1 for block 1, done at 0.85, and 0.1 for block 2, done at 1.15; forward ends at 1.45.
  const SimulatedStep step = full_sharded_steps(three_blocks(2), durations(0.05, 0.3, 0)).at(0);
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
  const SimulatedStep step = full_sharded_steps(three_blocks(2), durations(0.05, 0.3, 0.12)).at(0);
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
  const SimulatedStep step = full_sharded_steps(job, durations(0.05, 0.3, 0)).at(0);
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
    job.full->forward_shares.assign(static_cast<std::size_t>(depth) + 2, 1.0 / (depth + 2));
    job.steps[0].ready_s.resize(segments);
    job.steps[0].backward_s = job.steps[0].ready_s.back();
    const SimulatedStep step = full_sharded_steps(job, durations(0.05, 0.3, 0)).at(0);
    CHECK(step.buckets.size() == segments);
    CHECK(step.gathers_s == Approx(0.05 + depth * 0.3));
  }
}
