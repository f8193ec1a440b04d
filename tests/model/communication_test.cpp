#include "model/communication.h"

#include <algorithm>

#include "tests/catch.h"
#include "tests/model/small_dit.h"

using namespace gpumonth::model;
using namespace gpumonth::tests;

namespace {

std::vector<SentPart> sent(const TrainingLayout& layout, Dtype dtype = Dtype::fp32, std::int64_t batch = 6) {
  return sent_parts(small_dit(), batch, dtype, layout);
}

std::int64_t sent(const TrainingLayout& layout, SentKind kind, Dtype dtype = Dtype::fp32) {
  return sum(sent(layout, dtype), kind);
}

}  // namespace

TEST_CASE("alone, a rank sends nothing") {
  for (const Sharding sharding : {Sharding::none, Sharding::optimizer, Sharding::full})
    CHECK(sent({.ranks = 1, .sharding = sharding, .accumulate = 2}).empty());
}

TEST_CASE("gradients are all-reduced, or by shares with the weights gathered behind them") {
  // 256,896 values of 4 bytes; of 4 ranks each sends 3/4 of them twice
  CHECK(kElements == 256'896);
  CHECK(sent({.ranks = 4}, SentKind::reduced) == 1'541'376);
  CHECK(sum(sent({.ranks = 4})) == 1'541'376);
  CHECK(sent({.ranks = 4, .accumulate = 3}, SentKind::reduced) == 1'541'376);  // their sum
  CHECK(sent({.ranks = 4, .gpu = true, .wire = Dtype::bf16}, SentKind::reduced) == 770'688);
  const TrainingLayout gpus{.ranks = 4, .sharding = Sharding::optimizer, .gpu = true};
  CHECK(sent(gpus, SentKind::reduced) == 770'688);
  CHECK(sent(gpus, SentKind::gathered) == 770'688);
  CHECK(sum(sent(gpus), SentPhase::update) == 770'688);
  // CPU ranks of several hosts all-reduce; those of one host share the state, and gather nothing
  const TrainingLayout hosts{.ranks = 4, .sharding = Sharding::optimizer};
  CHECK(sent(hosts, SentKind::reduced) == 1'541'376);
  CHECK(sent(hosts, SentKind::gathered) == 770'688);
  CHECK(sent({.ranks = 4, .sharding = Sharding::optimizer, .ranks_per_host = 4}, SentKind::gathered) == 0);
}

TEST_CASE("full sharding gathers blocks before forward, and all but the two topmost before backward") {
  // In fp32: outer once, three blocks and one: 33,984 + 4 x 74,304 = 331,200 values.
  const TrainingLayout cpu{.ranks = 4, .sharding = Sharding::full};
  CHECK(sent(cpu, SentKind::gathered) == 3 * 331'200);
  CHECK(sum(sent(cpu), SentPhase::forward) == 3 * (33'984 + 3 * 74'304));
  CHECK(sent(cpu, SentKind::reduced) == 3 * 256'896);
  CHECK(sum(sent(cpu)) == sent(cpu, SentKind::gathered) + sent(cpu, SentKind::reduced));
  CHECK(sent(cpu, SentKind::gathered, Dtype::bf16) == 3 * 331'200);  // CPU ranks send fp32 all the same
  // On a GPU what products read travels in bf16: 4 x 33,984 + 4 x (2 x 49,728 + 4 x 24,576) = 926,976 bytes.
  const TrainingLayout gpu{.ranks = 4, .sharding = Sharding::full, .gpu = true};
  CHECK(sent(gpu, SentKind::gathered, Dtype::bf16) == 695'232);
  CHECK(sent(gpu, SentKind::gathered, Dtype::fp32) == 3 * 331'200);
  CHECK(sent(gpu, SentKind::reduced, Dtype::bf16) == 3 * 256'896);
  // Two micro-batches: outer once still, 3 + 1 and 1 + 1 blocks; gradients twice.
  const TrainingLayout twice{.ranks = 4, .sharding = Sharding::full, .accumulate = 2};
  CHECK(sent(twice, SentKind::gathered) == 3 * (33'984 + 6 * 74'304));
  CHECK(sent(twice, SentKind::reduced) == 2 * 3 * 256'896);
}

TEST_CASE("groups shard among themselves, and sum their shards") {
  const TrainingLayout hybrid{.ranks = 4, .sharding = Sharding::full, .shard_group = 2};
  CHECK(sent(hybrid, SentKind::gathered) == 2 * 331'200);  // half of 4 bytes
  // half of the gradients to the other of the group; of the half that is its own, all-reduced by two: that half
  CHECK(sent(hybrid, SentKind::reduced) == 2 * 256'896 + 2 * 256'896);
  // Two groups of three; of rank 0's shares (memory_test.cpp has the rests) half, twice
  const std::int64_t shard = 3 * (5'480 + 5'544 + 1'384 + 4'160 + 8'192) + 704 + 2'728 + 360 + 424 + 7'104;
  CHECK(sent({.ranks = 6, .sharding = Sharding::full, .shard_group = 3}, SentKind::reduced) ==
        2 * 256'896 * 4 / 3 + 4 * shard);
  const TrainingLayout one_group{.ranks = 4, .sharding = Sharding::full, .shard_group = 4};
  CHECK(sum(sent(one_group)) == sum(sent({.ranks = 4, .sharding = Sharding::full})));
}

TEST_CASE("ranks that share a sample exchange q, k, v and attention's output") {
  // 6 samples x 8 own tokens x 64 values x 4 bytes = 12,288 a tensor, of which half goes to the other rank; three blocks
  const TrainingLayout pair{.ranks = 2, .sequence_ranks = 2};
  CHECK(sent(pair, SentKind::exchanged) == 2 * 4 * 3 * 6'144);
  CHECK(sum(sent(pair), SentPhase::forward) == 4 * 3 * 6'144);
  CHECK(sent(pair, SentKind::reduced) == 256'896 * 4);  // as without: every rank has gradients of all weights
  CHECK(sent(pair, SentKind::exchanged, Dtype::bf16) == 4 * 3 * 6'144);
  // one block of three is computed again
  CHECK(sent({.ranks = 2, .sequence_ranks = 2, .recompute = Recompute::full}, SentKind::exchanged) == 28 * 6'144);
  CHECK(sent({.ranks = 2, .sequence_ranks = 2, .recompute = Recompute::linear}, SentKind::exchanged) == 27 * 6'144);
  // of four ranks each has a quarter of the tokens, and sends three quarters of that
  CHECK(sent({.ranks = 4, .sequence_ranks = 4}, SentKind::exchanged) == 24 * 3 * 1'536);
}

TEST_CASE("a 20 B video model as published volumes count it") {
  const ModelConfig model = load_model(std::string(GPUMONTH_SOURCE_DIR) + "/configs/models/dit-20b-video.toml");
  const TrainingLayout layout{
      .ranks = 4096, .sharding = Sharding::full, .sequence_ranks = 8, .gpu = true, .recompute = Recompute::full};
  const auto parts = sent_parts(model, 1, Dtype::bf16, layout);
  const auto gigabytes = [&](SentKind kind) { return static_cast<double>(sum(parts, kind)) / 1e9; };
  // P = 20.4e9: 2P to gather for each of forward and backward were all in bf16, of which adaLN, a third, is in fp32
  // instead; two blocks of thirty need no second one. 4P of gradients.
  const double P = 20.4, both = 2 * (2 * P * 2 / 3 + 4 * P / 3) - 2.0 / 30 * (2 * P * 2 / 3 + 4 * P / 3);
  CHECK(gigabytes(SentKind::gathered) == Approx(both).epsilon(0.01));
  CHECK(gigabytes(SentKind::reduced) == Approx(4 * P).epsilon(0.01));
  // 1 GB a layer and pass over NVLink, 89 GB a step with forward, recompute of all blocks and backward
  CHECK(gigabytes(SentKind::exchanged) == Approx(89 * 88.0 / 90).epsilon(0.01));
}
