#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include "tests/catch.h"
#include "tests/trainer/ops/values.h"
#include "trainer/data/data.h"

namespace gpumonth::trainer {
namespace {

using tests::same_bits;

model::ModelConfig config(int frames = 1, int channels = 4, int size = 32, int classes = 10) {
  model::ModelConfig m;
  m.input_size = size;
  m.in_channels = channels;
  m.frames = frames;
  m.num_classes = classes;
  return m;
}

struct Batch {
  std::vector<float> latents;
  std::vector<std::int32_t> labels;
};

Batch read(Dataset& data, const model::ModelConfig& m, const std::vector<std::int64_t>& indices) {
  Batch b{std::vector<float>(indices.size() * static_cast<std::size_t>(m.latent_size()), NAN),
          std::vector<std::int32_t>(indices.size(), -1)};
  data.read(indices, b.latents.data(), b.labels.data());
  return b;
}

std::vector<std::int64_t> first(std::int64_t n, std::int64_t from = 0) {
  std::vector<std::int64_t> indices(static_cast<std::size_t>(n));
  std::iota(indices.begin(), indices.end(), from);
  return indices;
}

TEST_CASE("the procedural set is finite, of unit variance, with every label") {
  for (const auto& m : {config(), config(4), config(1, 3, 4), config(1, 16, 64, 1000)}) {
    CAPTURE(m.frames, m.in_channels, m.input_size, m.num_classes);
    const auto data = make_procedural_dataset(m, 1);
    const auto b = read(*data, m, first(256));
    double sum = 0, squares = 0, largest = 0;
    for (const float v : b.latents) {
      REQUIRE(std::isfinite(v));
      sum += double{v};
      squares += double{v} * double{v};
      largest = std::max(largest, std::abs(double{v}));
    }
    const double n = static_cast<double>(b.latents.size());
    CHECK(sum / n == Approx(0).margin(0.05));
    CHECK(squares / n == Approx(1).margin(0.05));
    CHECK(largest < 20);
    const std::set<std::int32_t> labels(b.labels.begin(), b.labels.end());
    CHECK(*labels.begin() >= 0);
    CHECK(*labels.rbegin() < m.num_classes);
    if (m.num_classes == 10) CHECK(labels.size() == 10);
  }
}

TEST_CASE("an index gives the same sample in any batch, order and object") {
  const auto m = config(3);
  const auto a = make_procedural_dataset(m, 9), other = make_procedural_dataset(m, 10);
  const std::vector<std::int64_t> indices = {7, 1, (std::int64_t{1} << 33) + 7};
  const auto together = read(*a, m, indices);
  const auto size = static_cast<std::size_t>(m.latent_size());
  for (std::size_t i = 0; i < indices.size(); ++i) {
    const auto alone = read(*make_procedural_dataset(m, 9), m, {indices[i]});
    CHECK(std::equal(alone.latents.begin(), alone.latents.end(), together.latents.begin() + i * size));
    CHECK(alone.labels[0] == together.labels[i]);
  }
  CHECK_FALSE(std::equal(together.latents.begin(), together.latents.begin() + size,
                         together.latents.begin() + 2 * size));  // the index's high bits count
  CHECK_FALSE(same_bits(together.latents, read(*other, m, indices).latents));
}

/// Share of variance in differences between neighbours: 2 for white noise, small for a smooth picture.
TEST_CASE("pictures are smooth, and frames move but resemble one another") {
  const auto m = config(4);
  const auto data = make_procedural_dataset(m, 1);
  const auto b = read(*data, m, first(64));
  const std::size_t width = 32, frame = width * width;
  double across_x = 0, across_time = 0, n_x = 0, n_time = 0;
  for (std::size_t i = 0; i < b.latents.size(); ++i) {
    if (i % width + 1 < width) across_x += std::pow(double{b.latents[i + 1]} - double{b.latents[i]}, 2), ++n_x;
    if (i / frame % 4 < 3) across_time += std::pow(double{b.latents[i + frame]} - double{b.latents[i]}, 2), ++n_time;
  }
  CHECK(across_x / n_x < 0.3);
  CHECK(across_time / n_time < 0.8);
  CHECK(across_time / n_time > 0.02);
}

TEST_CASE("the label tells something: pictures of one class lie along one channel direction") {
  const auto m = config();
  const auto data = make_procedural_dataset(m, 1);
  const auto b = read(*data, m, first(200));
  const std::size_t plane = 32 * 32;
  std::map<std::int32_t, std::vector<double>> direction;
  for (std::size_t i = 0; i < b.labels.size(); ++i) {
    // The channels at the brightest pixel, normalised, with the sign kept.
    const float* sample = b.latents.data() + i * 4 * plane;
    std::vector<double> channels(4);
    double best = 0;
    for (std::size_t p = 0; p < plane; ++p) {
      double size = 0;
      for (std::size_t c = 0; c < 4; ++c) size += std::pow(double{sample[c * plane + p]}, 2);
      if (size <= best) continue;
      best = size;
      for (std::size_t c = 0; c < 4; ++c) channels[c] = double{sample[c * plane + p]} / std::sqrt(size);
    }
    auto& known = direction[b.labels[i]];
    if (known.empty()) known = channels;
    double cosine = 0;
    for (std::size_t c = 0; c < 4; ++c) cosine += known[c] * channels[c];
    REQUIRE(std::abs(cosine) == Approx(1).margin(1e-4));
  }
  REQUIRE(direction.size() == 10);
  CHECK(std::abs(direction[0][0] - direction[1][0]) > 1e-3);
}

TEST_CASE("shuffled_index is a permutation of every epoch") {
  for (const std::int64_t size : {1, 2, 3, 7, 64, 100, 1000, 4097}) {
    for (std::int64_t epoch = 0; epoch < 3; ++epoch) {
      std::vector<char> seen(static_cast<std::size_t>(size));
      for (std::int64_t i = 0; i < size; ++i) {
        const std::int64_t index = shuffled_index(epoch * size + i, size, 11);
        REQUIRE(index >= 0);
        REQUIRE(index < size);
        REQUIRE_FALSE(seen[static_cast<std::size_t>(index)]);
        seen[static_cast<std::size_t>(index)] = 1;
      }
    }
  }
}

TEST_CASE("epochs and seeds are shuffled differently, and positions do not correlate with indices") {
  constexpr std::int64_t kSize = 10000;
  int same_epoch = 0, same_seed = 0, fixed = 0;
  double correlation = 0;
  for (std::int64_t i = 0; i < kSize; ++i) {
    const auto index = shuffled_index(i, kSize, 1);
    same_epoch += index == shuffled_index(kSize + i, kSize, 1);
    same_seed += index == shuffled_index(i, kSize, 2);
    fixed += index == i;
    correlation += (static_cast<double>(i) / kSize - 0.5) * (static_cast<double>(index) / kSize - 0.5) * 12 / kSize;
  }
  CHECK(same_epoch < 10);  // one is expected
  CHECK(same_seed < 10);
  CHECK(fixed < 10);
  CHECK(std::abs(correlation) < 0.04);
  const std::int64_t endless = std::int64_t{1} << 40;
  CHECK(shuffled_index(0, endless, 1) < endless);
  CHECK(shuffled_index(0, endless, 1) != shuffled_index(1, endless, 1));
}

}  // namespace
}  // namespace gpumonth::trainer
