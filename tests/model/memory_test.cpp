#include "model/memory.h"

#include "model/parameters.h"
#include "tests/catch.h"
#include "tests/model/small_dit.h"

using namespace gpumonth::model;
using namespace gpumonth::tests;

namespace {

ModelConfig load(const std::string& name) {
  return load_model(std::string(GPUMONTH_SOURCE_DIR) + "/configs/models/" + name + ".toml");
}

std::int64_t bytes(const ModelConfig& model, std::int64_t batch, Dtype dtype, MemoryKind kind) {
  return sum(memory_parts(model, batch, dtype), kind);
}

}  // namespace

TEST_CASE("fp32 state is five buffers of the flat size") {
  const ModelConfig model = load("dit-s-2");
  const std::int64_t flat = ParameterTable(model).flat_size() * 4;
  CHECK(bytes(model, 1, Dtype::bf16, MemoryKind::weights) == flat);
  CHECK(bytes(model, 1, Dtype::bf16, MemoryKind::gradients) == flat);
  CHECK(bytes(model, 1, Dtype::bf16, MemoryKind::optimizer) == 2 * flat);
  CHECK(bytes(model, 1, Dtype::bf16, MemoryKind::ema) == flat);
}

TEST_CASE("only what every token is multiplied with is packed; bf16 has two layouts, fp32 one") {
  const ModelConfig model = load("dit-s-2");
  const auto h = std::int64_t{384};
  const std::int64_t weights = 12 * 12 * h * h + 16 * h + 32 * h;
  CHECK(bytes(model, 1, Dtype::fp32, MemoryKind::packed_weights) == 4 * weights);
  CHECK(bytes(model, 1, Dtype::bf16, MemoryKind::packed_weights) == 2 * 2 * weights);
}

TEST_CASE("activations grow with the batch and the tokens, state does not") {
  const ModelConfig image = load("dit-s-2"), video = load("dit-s-2-video");
  const auto one = bytes(image, 1, Dtype::bf16, MemoryKind::activations);
  CHECK(bytes(image, 8, Dtype::bf16, MemoryKind::activations) == 8 * one);
  CHECK(bytes(image, 1, Dtype::fp32, MemoryKind::activations) > one);
  CHECK(bytes(video, 1, Dtype::bf16, MemoryKind::activations) > 7 * one);
  CHECK(bytes(image, 8, Dtype::bf16, MemoryKind::optimizer) == bytes(image, 1, Dtype::bf16, MemoryKind::optimizer));
  // Per token and block in bf16: 8h + 16 + 4h + 6h + 2h + 24 + 4h + 16h bytes, plus what lies outside the
  // blocks: gradients in flight (4h + 6h + 8h) and the final layer's input (6h), against the blocks' 12 x 40 h.
  const std::int64_t blocks = 256 * 12 * (40 * 384 + 16 + 4 * 6);
  CHECK(one > blocks);
  CHECK(one < blocks + blocks / 10);
}

TEST_CASE("what ranks hold in common is shared out, gradients and activations are not") {
  const ModelConfig model = load("dit-s-2");
  const auto alone = memory_parts(model, 4, Dtype::bf16);
  const auto shared = memory_parts(model, 4, Dtype::bf16, {.weight_ranks = 2, .optimizer_ranks = 4});
  CHECK(2 * sum(shared, MemoryKind::weights) == sum(alone, MemoryKind::weights));
  CHECK(2 * sum(shared, MemoryKind::packed_weights) == sum(alone, MemoryKind::packed_weights));
  CHECK(4 * sum(shared, MemoryKind::optimizer) == sum(alone, MemoryKind::optimizer));
  CHECK(4 * sum(shared, MemoryKind::ema) == sum(alone, MemoryKind::ema));
  CHECK(sum(shared, MemoryKind::gradients) == sum(alone, MemoryKind::gradients));
  CHECK(sum(shared, MemoryKind::activations) == sum(alone, MemoryKind::activations));
}

TEST_CASE("micro-batches hold the activations of one, and their gradients' sum") {
  const ModelConfig model = load("dit-s-2");
  const auto one = memory_parts(model, 2, Dtype::bf16), eight = memory_parts(model, 8, Dtype::bf16, {.accumulate = 4});
  CHECK(sum(eight, MemoryKind::activations) == sum(one, MemoryKind::activations));
  CHECK(sum(eight, MemoryKind::gradients) == 2 * sum(one, MemoryKind::gradients));
  CHECK(sum(eight, MemoryKind::optimizer) == sum(one, MemoryKind::optimizer));
}

TEST_CASE("a GPU holds one bf16 copy of the weights, and none in fp32") {
  const ModelConfig model = load("dit-s-2");
  const std::int64_t flat = ParameterTable(model).flat_size();
  CHECK(sum(memory_parts(model, 1, Dtype::bf16, {.packed = false}), MemoryKind::packed_weights) == 2 * flat);
  CHECK(sum(memory_parts(model, 1, Dtype::fp32, {.packed = false}), MemoryKind::packed_weights) == 0);
}

TEST_CASE("a model that is not trained holds less") {
  const ModelConfig model = load("dit-s-2");
  const auto training = memory_parts(model, 4, Dtype::bf16);
  const auto backward = memory_parts(model, 4, Dtype::bf16, {.use = Use::backward});
  const auto forward = memory_parts(model, 4, Dtype::bf16, {.use = Use::forward});
  CHECK(sum(backward) == sum(training) - sum(training, MemoryKind::optimizer) - sum(training, MemoryKind::ema));
  CHECK(sum(forward, MemoryKind::weights) == sum(training, MemoryKind::weights));
  CHECK(2 * sum(forward, MemoryKind::packed_weights) == sum(training, MemoryKind::packed_weights));
  for (const auto kind : {MemoryKind::gradients, MemoryKind::optimizer, MemoryKind::ema})
    CHECK(sum(forward, kind) == 0);
  const auto recompute = memory_parts(model, 4, Dtype::bf16, {.recompute = Recompute::full});
  CHECK(sum(forward, MemoryKind::activations) < sum(recompute, MemoryKind::activations));
  // linear keeps attention's output and log-sum-exp of every block, not of two
  const auto linear = memory_parts(model, 4, Dtype::bf16, {.recompute = Recompute::linear});
  CHECK(sum(linear) - sum(recompute) ==
        (model.depth - 2) * 4 * model.tokens() * (2 * model.hidden_size + 4 * std::int64_t{model.num_heads}));
}

TEST_CASE("full sharding holds a shard of the state, and two blocks whole") {
  // Shares of four are without rest: 256,896 / 4 = 64,224 values. Products of two blocks 2 x 12 x 64 x 64, of the patches and
  // the final layer 48 x 64.
  const auto cpu = memory_parts(small_dit(), 1, Dtype::fp32, {.shard_ranks = 4});
  CHECK(sum(cpu, MemoryKind::weights) == 4 * (64'224 + 33'984 + 2 * 74'304));
  CHECK(sum(cpu, MemoryKind::packed_weights) == 4 * (98'304 + 3'072));
  CHECK(sum(cpu, MemoryKind::gradients) == 4 * (64'224 + 33'984 + 2 * 74'304));
  CHECK(sum(cpu, MemoryKind::optimizer) == 2 * 4 * 64'224);
  CHECK(sum(cpu, MemoryKind::ema) == 4 * 64'224);
  const auto narrow = memory_parts(small_dit(), 1, Dtype::bf16, {.shard_ranks = 4});
  CHECK(sum(narrow, MemoryKind::packed_weights) == 2 * 2 * (98'304 + 3'072));
  const auto gpu = memory_parts(small_dit(), 1, Dtype::bf16, {.packed = false, .shard_ranks = 4});
  CHECK(sum(gpu, MemoryKind::weights) == 4 * (64'224 + 33'984) + 2 * (2 * 49'728 + 4 * 24'576));
  CHECK(sum(gpu, MemoryKind::packed_weights) == 2 * (64'224 + 33'984));
  CHECK(sum(gpu, MemoryKind::gradients) == sum(cpu, MemoryKind::gradients));
  const auto wide = memory_parts(small_dit(), 1, Dtype::fp32, {.packed = false, .shard_ranks = 4});
  CHECK(sum(wide, MemoryKind::weights) == sum(cpu, MemoryKind::weights));
  CHECK(sum(wide, MemoryKind::packed_weights) == 0);
  // the same work; shards of micro-batches are added where they lie
  CHECK(sum(cpu, MemoryKind::activations) == sum(memory_parts(small_dit(), 1, Dtype::fp32), MemoryKind::activations));
  const auto twice = memory_parts(small_dit(), 2, Dtype::fp32, {.shard_ranks = 4, .accumulate = 2});
  CHECK(sum(twice) == sum(cpu));
}

TEST_CASE("the last rank of a group holds what equal shares leave over") {
  // Of three: 4 x (count / 12) values each, the rest, and to a multiple of 16. fc2 16,448: 5,480 + 8 = 5,488; fc1 16,640:
  // 5,544 + 8, 5,552; proj 4,160: 1,384 + 8, 1,392; qkv 12,480: 4,160; adaLN 24,576: 8,192. Final layer 2,112: 704; 8,192:
  // 2,728 + 8, 2,736; patches 1,088: 360 + 8, 368; biases 1,280: 424 + 8, 432; conditioning 21,312: 7,104.
  const std::int64_t block = 5'488 + 5'552 + 1'392 + 4'160 + 8'192, outer = 704 + 2'736 + 368 + 432 + 7'104;
  const auto parts = memory_parts(small_dit(), 1, Dtype::fp32, {.shard_ranks = 3});
  CHECK(sum(parts, MemoryKind::ema) == 4 * (3 * block + outer));
  // Of six: 2,740 + 8, 2,772 + 8, 692 + 8, 2,080, 4,096; 352, 1,364 + 8, 180 + 8, 212 + 8, 3,552; to multiples of 16.
  const std::int64_t sixth = 2'752 + 2'784 + 704 + 2'080 + 4'096, of_outer = 352 + 1'376 + 192 + 224 + 3'552;
  const auto six = memory_parts(small_dit(), 1, Dtype::fp32, {.shard_ranks = 6});
  CHECK(sum(six, MemoryKind::ema) == 4 * (3 * sixth + of_outer));
}

TEST_CASE("one block is gathered where there is one") {
  ModelConfig model = small_dit();
  model.depth = 1;  // 12 rows of biases fewer
  const auto parts = memory_parts(model, 1, Dtype::fp32, {.shard_ranks = 4});
  const std::int64_t outer = 33'984 - 12 * 64, elements = outer + 74'304;
  CHECK(sum(parts, MemoryKind::weights) == elements + 4 * elements);
}

TEST_CASE("ranks that share samples hold a share of the activations, and their own tokens' qkv and output") {
  const auto alone = memory_parts(small_dit(), 6, Dtype::bf16),
             pair = memory_parts(small_dit(), 6, Dtype::bf16, {.sequence_ranks = 2});
  // conditioning and modulations are those of whole samples: 6 x 64 x (2 + 18 + 3) values of 4 bytes
  const std::int64_t whole = 6 * 64 * 23 * 4, all = sum(alone, MemoryKind::activations) - whole;
  // 48 tokens of 64 values of 2 bytes: the output of three blocks, q, k and v of one, and these by rank
  CHECK(sum(pair, MemoryKind::activations) == all / 2 + whole + 48 * 64 * 2 * (3 + 6));
  for (const auto kind : {MemoryKind::weights, MemoryKind::gradients, MemoryKind::optimizer, MemoryKind::ema})
    CHECK(sum(pair, kind) == sum(alone, kind));
}

TEST_CASE("the parts sum to the total") {
  const auto parts = memory_parts(load("dit-tiny-video"), 4, Dtype::fp32);
  std::int64_t total = 0;
  for (const auto kind : {MemoryKind::weights, MemoryKind::packed_weights, MemoryKind::gradients, MemoryKind::optimizer,
                          MemoryKind::ema, MemoryKind::activations}) {
    CHECK(sum(parts, kind) > 0);
    total += sum(parts, kind);
  }
  CHECK(total == sum(parts));
}

TEST_CASE("20 billion parameters do not fit an 80 GB GPU") {
  CHECK(sum(memory_parts(load("dit-20b"), 1, Dtype::bf16)) > std::int64_t{320} * 1000 * 1000 * 1000);
}
