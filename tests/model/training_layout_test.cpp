#include "model/training_layout.h"

#include "model/sequence_ranks.h"
#include "tests/catch.h"

using namespace gpumonth::model;

TEST_CASE("what ranks hold alone, in shares and in common") {
  const auto of = [](const TrainingLayout& layout) { return memory_layout(layout); };
  CHECK(of({.ranks = 4}).optimizer_ranks == 1);
  CHECK(of({.ranks = 4, .sharding = Sharding::optimizer}).optimizer_ranks == 4);
  CHECK(of({.ranks = 4, .sharding = Sharding::optimizer}).weight_ranks == 1);  // every rank gets all updated weights
  const MemoryLayout host = of({.ranks = 4, .ranks_per_host = 4});
  CHECK(host.weight_ranks == 4);
  CHECK(host.optimizer_ranks == 4);
  CHECK(of({.ranks = 8, .ranks_per_host = 4}).weight_ranks == 1);  // in common on one host alone
  CHECK(of({.ranks = 4, .gpu = true, .ranks_per_host = 4}).weight_ranks == 1);
  CHECK_FALSE(of({.gpu = true}).packed);
  const MemoryLayout full = of({.ranks = 8, .sharding = Sharding::full, .ranks_per_host = 8});
  CHECK(full.shard_ranks == 8);
  CHECK(full.weight_ranks == 1);
  CHECK(of({.ranks = 8, .sharding = Sharding::full, .shard_group = 4}).shard_ranks == 4);
  CHECK(of({.ranks = 8, .sharding = Sharding::none}).shard_ranks == 1);
}

TEST_CASE("samples are shared by heads and lines of patches") {
  ModelConfig image;  // 16 lines of patches, 16 heads
  image.num_heads = 12;
  CHECK_FALSE(why_not_shared(image, 1));
  CHECK_FALSE(why_not_shared(image, 4));
  CHECK(why_not_shared(image, 8) == "8 ranks cannot share 12 heads: take 1, 2 or 4");
  image.num_heads = 32;
  CHECK(why_not_shared(image, 32) == "32 ranks cannot share 16 lines of patches: take 1, 2, 4, 8 or 16");
  ModelConfig clip = image;
  clip.frames = 6;
  CHECK_FALSE(why_not_shared(clip, 32));  // 96 lines
  clip.temporal_patch_size = 2;
  CHECK(why_not_shared(clip, 2) == "2 ranks cannot share 3 frames of patches: take 1");
}

TEST_CASE("shardings have names") {
  for (const Sharding s : {Sharding::none, Sharding::optimizer, Sharding::full}) CHECK(sharding_named(name(s)) == s);
  CHECK_THROWS_AS(sharding_named("zero-3"), std::invalid_argument);
}
