#include "model/sequence_ranks.h"

#include "model/memory.h"
#include "tests/catch.h"

using namespace gpumonth;
using namespace gpumonth::model;

TEST_CASE("ranks that share samples divide heads and lines of patches, or frames of them") {
  ModelConfig m;  // 32 / 2 = 16 lines of patches, 16 heads
  for (const int ranks : {1, 2, 4, 8, 16}) CHECK_FALSE(why_not_shared(m, ranks));
  CHECK(*why_not_shared(m, 3) == "3 ranks cannot share 16 heads: take 1, 2, 4, 8 or 16");
  m.num_heads = 6;
  m.hidden_size = 384;
  CHECK(*why_not_shared(m, 3) == "3 ranks cannot share 16 lines of patches: take 1 or 2");
  m.frames = 3;  // 48 lines
  CHECK_FALSE(why_not_shared(m, 3));
  m.frames = 4;
  m.temporal_patch_size = 2;
  CHECK_FALSE(why_not_shared(m, 2));
  CHECK(*why_not_shared(m, 6) == "6 ranks cannot share 2 frames of patches: take 1 or 2");
}

TEST_CASE("a rank that shares samples holds activations of its tokens, and qkv of its heads") {
  ModelConfig m;
  m.input_size = 8;
  m.patch_size = 2;  // 16 tokens
  m.hidden_size = 48;
  m.num_heads = 4;
  m.depth = 3;
  const auto bytes_of = [&](std::int64_t ranks, const char* what) {
    std::int64_t bytes = 0;
    for (const auto& part : memory_parts(m, 2, Dtype::bf16, {.sequence_ranks = ranks}))
      bytes += part.what == what ? part.bytes : 0;
    return bytes;
  };
  // 2 samples x 16 tokens / 4 ranks = 8 tokens of width 48, 3 blocks, 2 bytes
  CHECK(bytes_of(4, "qkv") == 3 * 8 * 3 * 48 * 2);
  CHECK(bytes_of(4, "attention output") == 3 * 8 * 48 * 2);
  CHECK(bytes_of(4, "attention output of the own tokens") == 3 * 8 * 48 * 2);
  CHECK(bytes_of(4, "qkv of the own tokens, and by rank for the all-to-all") == 2 * 8 * 3 * 48 * 2);
  CHECK(bytes_of(4, "residual stream before each block") == 3 * 8 * 48 * 4);
  CHECK(bytes_of(1, "attention output of the own tokens") == 0);
  CHECK(bytes_of(1, "qkv") == 4 * bytes_of(4, "qkv"));
}
