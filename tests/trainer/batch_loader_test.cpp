// What goes into a batch: mirrored samples, the same on any number of ranks.
#include "trainer/data/batch_loader.h"

#include <algorithm>

#include "comm/host/self_communicator.h"
#include "tests/catch.h"

using namespace gpumonth;
using namespace gpumonth::trainer;

namespace {

constexpr std::int64_t kSize = 4, kFrames = 2, kChannels = 3, kSample = kChannels * kFrames * kSize * kSize;

/// Value i of sample n is n + i / 1000, and the label n modulo 10.
class Numbered final : public Dataset {
 public:
  std::int64_t size() const override { return 64; }
  std::string description() const override { return "numbers"; }
  DatasetIdentity identity() const override { return {}; }
  void read(std::span<const std::int64_t> indices, float* latents, std::int32_t* labels) override {
    for (const std::int64_t index : indices) {
      for (std::int64_t i = 0; i < kSample; ++i)
        *latents++ = static_cast<float>(index) + static_cast<float>(i) / 1000.0f;
      *labels++ = static_cast<std::int32_t>(index % 10);
    }
  }
};

RunConfig config(bool flip) {
  RunConfig c;
  c.model.input_size = kSize;
  c.model.patch_size = 2;
  c.model.in_channels = kChannels;
  c.model.frames = kFrames;
  c.model.num_classes = 10;
  c.batch.global = 32;
  c.data.flip = flip;
  return c;
}

Batch load(const RunConfig& c, std::int64_t step, std::int64_t first, std::int64_t count) {
  Numbered numbers;
  comm::SelfCommunicator alone;
  BatchLoader loader(c, numbers, alone);
  Batch batch;
  batch.latents.resize(static_cast<std::size_t>(count * kSample));
  batch.labels.resize(static_cast<std::size_t>(count));
  batch.t.resize(static_cast<std::size_t>(count));
  batch.first_sample = first;
  loader.load(step, batch);
  REQUIRE_FALSE(loader.failed());
  return batch;
}

/// Values of one sample, by (channel, frame, row, column); mirrored: columns from the right.
std::vector<float> sample_of(const Batch& batch, std::int64_t i, bool mirrored) {
  std::vector<float> values;
  for (std::int64_t row = 0; row < kSample / kSize; ++row)
    for (std::int64_t x = 0; x < kSize; ++x)
      values.push_back(
          batch.latents[static_cast<std::size_t>(i * kSample + row * kSize + (mirrored ? kSize - 1 - x : x))]);
  return values;
}

/// Which of a step's 32 samples are mirrored; every one is that or as it was.
std::vector<bool> mirrored_in(std::int64_t step) {
  const Batch plain = load(config(false), step, 0, 32), flipped = load(config(true), step, 0, 32);
  CHECK(plain.labels == flipped.labels);
  CHECK(plain.t == flipped.t);
  std::vector<bool> mirrored;
  for (std::int64_t i = 0; i < 32; ++i) {
    const auto as_it_was = sample_of(plain, i, false), turned = sample_of(plain, i, true);
    const auto got = sample_of(flipped, i, false);
    CHECK((got == as_it_was || got == turned));
    mirrored.push_back(got == turned);
  }
  return mirrored;
}

TEST_CASE("data.flip mirrors about half of the samples along the width, others in every step, and nothing else") {
  std::int64_t count = 0;
  for (std::int64_t step = 1; step <= 20; ++step) {
    const auto mirrored = mirrored_in(step);
    count += std::count(mirrored.begin(), mirrored.end(), true);
  }
  CHECK(count > 260);  // of 640, binomial: 320 +- 12.6 a standard deviation
  CHECK(count < 380);
  CHECK(mirrored_in(1) != mirrored_in(2));
}

TEST_CASE("a sample is mirrored or not whatever the rank that loads it") {
  const Batch whole = load(config(true), 7, 0, 32), second = load(config(true), 7, 16, 16);
  CHECK(std::equal(second.latents.begin(), second.latents.end(), whole.latents.begin() + 16 * kSample));
}

}  // namespace
