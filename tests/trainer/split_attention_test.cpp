// Attention of ranks that share samples against attention of whole samples on one: the same outputs and gradients.
#include "trainer/dit/split_attention.h"

#include <fmt/format.h>

#include "comm/host/host_exchange.h"
#include "comm/host/host_transport.h"
#include "tests/catch.h"
#include "tests/comm/ranks.h"
#include "tests/trainer/ops/values.h"

using namespace gpumonth;
using namespace gpumonth::trainer;
using gpumonth::tests::random_values, gpumonth::tests::relative_distance;

namespace {

constexpr std::int64_t kHeads = 8, kWidth = 6, kH = kHeads * kWidth;

model::ModelConfig model_of(std::int64_t tokens) {
  model::ModelConfig m;
  m.input_size = 4;
  m.patch_size = 2;  // 2 x 2 patches a frame
  m.frames = static_cast<int>(tokens / 4);
  m.hidden_size = kH;
  m.num_heads = kHeads;
  m.depth = 1;
  return m;
}

template <class T>
std::vector<T> of(const std::vector<float>& values) {
  std::vector<T> all;
  for (const float v : values) all.push_back(ops::from_float<T>(v));
  return all;
}
template <class T>
std::vector<float> floats(const T* values, std::int64_t count) {
  std::vector<float> all;
  for (std::int64_t i = 0; i < count; ++i) all.push_back(ops::to_float(values[i]));
  return all;
}

/// The tokens of one rank from (B, T, width).
template <class T>
std::vector<T> tokens_of(const std::vector<T>& whole, std::int64_t batch, std::int64_t width, int rank, int ranks) {
  std::vector<T> part;
  const auto sample = static_cast<std::int64_t>(whole.size()) / batch, share = sample / ranks;
  REQUIRE(share % width == 0);
  for (std::int64_t b = 0; b < batch; ++b)
    part.insert(part.end(), whole.begin() + b * sample + rank * share, whole.begin() + b * sample + (rank + 1) * share);
  return part;
}

struct Results {
  std::vector<float> output, gradient;
};

/// What attention of `ranks` gives one of them, of inputs that all draw alike.
template <class T>
Results run(std::int64_t batch, std::int64_t tokens, const Sequence& sequence, int times,
            std::int64_t* bytes = nullptr) {
  ops::Cpu cpu{2};
  const DitShape shape(model_of(tokens), batch, sequence.ranks);
  SplitAttention<ops::Cpu, T> attention(cpu, {batch, shape.tokens, kHeads, kWidth}, sequence, 4 * times);
  AttentionOutput<ops::Cpu, T> kept(cpu, shape);
  const auto qkv =
      tokens_of(of<T>(random_values(batch * tokens * 3 * kH, 1)), batch, 3 * kH, sequence.rank, sequence.ranks);
  const auto dout = tokens_of(of<T>(random_values(batch * tokens * kH, 2)), batch, kH, sequence.rank, sequence.ranks);
  std::vector<T> shared(qkv.size()), dqkv(qkv.size());
  attention.begin_step();
  for (int i = 0; i < times; ++i) {
    std::copy(qkv.begin(), qkv.end(), attention.qkv_of_tokens(shared.data()));
    attention.share_heads(shared.data());
    attention.forward(shared.data(), kept);
    attention.backward(shared.data(), kept, dout.data(), dqkv.data());
  }
  if (bytes) *bytes = attention.exchanged_bytes();
  CHECK((attention.exchange_seconds() > 0) == (sequence.exchange != nullptr));
  return {floats(kept.output.get(), kept.output.size()), floats(dqkv.data(), std::ssize(dqkv))};
}

template <class T>
void check(comm::Communicator& ranks, double tolerance) {
  const int size = ranks.size(), rank = ranks.rank();
  for (const auto& [batch, tokens] : {std::pair{1, 8}, {3, 8}, {2, 24}, {1, 320}, {2, 320}}) {
    INFO(ranks.description() << ": " << batch << " samples of " << tokens << " tokens");
    Sequence sequence{.ranks = size, .rank = rank};
    if (size > 1) sequence.exchange = std::make_shared<comm::HostExchange>(ranks, size);
    std::int64_t bytes = 0;
    const Results whole = run<T>(batch, tokens, {}, 1), part = run<T>(batch, tokens, sequence, 2, &bytes);
    CHECK(relative_distance(part.output, tokens_of(whole.output, batch, kH, rank, size)) < tolerance);
    CHECK(relative_distance(part.gradient, tokens_of(whole.gradient, batch, 3 * kH, rank, size)) < tolerance);
    // qkv, its gradient, the output and its gradient: of T / s tokens all heads, of which s - 1 shares go away; twice
    const auto values = 2 * (3 + 3 + 1 + 1) * batch * tokens / size * kH / size * (size - 1);
    CHECK(bytes == values * static_cast<std::int64_t>(sizeof(T)));
  }
}

}  // namespace

TEST_CASE("split attention is attention, in fp32") { check<float>(tests::ranks(), 1e-6); }
TEST_CASE("split attention is attention, in bf16") { check<ops::bf16>(tests::ranks(), 1e-6); }

TEST_CASE("so it is over MPI messages, as between hosts") {
  comm::MpiTransport over_messages(60, false);
  check<float>(over_messages.ranks(), 1e-6);
  check<ops::bf16>(over_messages.ranks(), 1e-6);
}

TEST_CASE("groups share samples of their own") {
  const int size = tests::ranks().size();
  if (size % 2 != 0) return;
  const auto exchange = tests::transport().make_exchange(2, nullptr);
  REQUIRE(exchange->size() == 2);
  REQUIRE(exchange->rank() == tests::ranks().rank() % 2);
  std::vector<std::int32_t> sent(6), received(6);
  for (std::size_t i = 0; i < 6; ++i) sent[i] = 100 * tests::ranks().rank() + static_cast<int>(i);
  exchange->run(sent.data(), received.data(), 24);
  const int first = tests::ranks().rank() / 2 * 2;
  for (std::size_t i = 0; i < 6; ++i)
    REQUIRE(received[i] == 100 * (first + static_cast<int>(i) / 3) + 3 * exchange->rank() + static_cast<int>(i) % 3);
  REQUIRE_THROWS_AS(exchange->run(sent.data(), received.data(), 20), std::invalid_argument);
}

TEST_CASE("a rank alone computes as much, of sizes that are one of several ranks'") {
  for (const auto& [batch, tokens] : {std::pair{1, 8}, {3, 24}}) {
    const Results part = run<float>(batch, tokens, {.ranks = 4, .rank = 0, .alone = true}, 1);
    CHECK(part.output.size() == static_cast<std::size_t>(batch * tokens / 4 * kH));
    for (const auto& values : {part.output, part.gradient}) {
      double square = 0;
      for (const float v : values) square += double{v} * double{v};
      CHECK(std::isfinite(square));
      CHECK(square > 0);
    }
  }
}

TEST_CASE("parts of a sample are runs of every plane") {
  model::ModelConfig m = model_of(24);  // 6 frames of 4 x 4, patches of 2 x 2
  CHECK(part_shape(m, {.ranks = 4, .rank = 1}).tokens() == 6);
  CHECK(part_shape(m, {.ranks = 4, .rank = 1}).height == 6);
  m.temporal_patch_size = 2;
  const ops::LatentShape shape = part_shape(m, {.ranks = 3, .rank = 2});
  CHECK(shape.frames == 2);
  CHECK(shape.height == 4);
  CHECK(shape.tokens() * 3 == m.tokens());
  // patches of a part are the rank's tokens of the sample's patches
  for (const auto& [temporal, ranks] : {std::pair{1, 4}, {2, 3}, {1, 2}, {3, 2}}) {
    m.temporal_patch_size = temporal;
    const auto latents = random_values(2 * m.latent_size(), 9);
    ops::Cpu cpu;
    std::vector<float> all(latents.size()), part;
    ops::patchify(cpu, latents.data(), ops::latent_shape(m), 2, all.data());
    for (int rank = 0; rank < ranks; ++rank) {
      const Sequence sequence{.ranks = ranks, .rank = rank};
      take_parts(latents, part_of_planes(m, sequence), part);
      std::vector<float> patches(part.size());
      ops::patchify(cpu, part.data(), part_shape(m, sequence), 2, patches.data());
      CHECK(patches == tokens_of(all, 2, m.patch_in(), rank, ranks));
    }
  }
}
