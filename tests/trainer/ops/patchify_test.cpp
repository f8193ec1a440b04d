#include "trainer/ops/patchify.h"

#include "tests/catch.h"
#include "tests/trainer/ops/values.h"
#include "trainer/ops/bf16.h"

namespace gpumonth::ops {
namespace {

using tests::random_values, tests::same_bits;

const LatentShape kShapes[] = {
    {4, 1, 8, 8, 1, 2},    // image
    {3, 1, 12, 12, 1, 4},  // odd channels
    {4, 1, 5, 5, 1, 1},    // one pixel a patch
    {2, 6, 4, 8, 2, 2},    // video, wider than high
    {5, 3, 6, 9, 3, 3},
};

struct Site {  // a pixel, counted from the corner of the sample
  std::int64_t frame, y, x;
};

/// Token and place inside the patch, from the definition.
std::int64_t token_of(const LatentShape& s, Site p) {
  return (p.frame / s.temporal_patch * (s.height / s.patch) + p.y / s.patch) * (s.width / s.patch) + p.x / s.patch;
}
std::int64_t place_of(const LatentShape& s, Site p) {
  return (p.frame % s.temporal_patch * s.patch + p.y % s.patch) * s.patch + p.x % s.patch;
}

/// f(b, channel, site, index in (B, channels, F, H, W)) for every value.
template <class F>
void for_each(const LatentShape& s, std::int64_t batch, std::int64_t channels, F&& f) {
  std::int64_t index = 0;
  for (std::int64_t b = 0; b < batch; ++b)
    for (std::int64_t c = 0; c < channels; ++c)
      for (std::int64_t t = 0; t < s.frames; ++t)
        for (std::int64_t y = 0; y < s.height; ++y)
          for (std::int64_t x = 0; x < s.width; ++x) f(b, c, Site{t, y, x}, index++);
}

TEST_CASE("patchify puts a patch in the order of the convolution weight") {
  constexpr std::int64_t kBatch = 3;
  for (const LatentShape& s : kShapes) {
    CAPTURE(s.channels, s.frames, s.height, s.width, s.patch);
    const std::int64_t total = kBatch * s.channels * s.plane(), values = s.channels * s.patch_volume();
    REQUIRE(s.tokens() * s.patch_volume() == s.plane());
    const auto latents = random_values(total, 5);
    std::vector<float> expected(latents.size());
    for_each(s, kBatch, s.channels, [&](std::int64_t b, std::int64_t c, Site p, std::int64_t i) {
      expected[(b * s.tokens() + token_of(s, p)) * values + c * s.patch_volume() + place_of(s, p)] = latents[i];
    });
    for (const int threads : {1, 2, 3}) {
      Cpu cpu{threads};
      std::vector<float> patches(latents.size(), -99.0f);
      std::vector<bf16> rounded(latents.size());
      patchify(cpu, latents.data(), s, kBatch, patches.data());
      patchify(cpu, latents.data(), s, kBatch, rounded.data());
      CHECK(same_bits(patches, expected));
      bool equal = true;
      for (std::size_t i = 0; i < rounded.size(); ++i) equal &= rounded[i].bits == from_float<bf16>(expected[i]).bits;
      CHECK(equal);
    }
  }
}

TEST_CASE("unpatchify reads a token with its channels innermost") {
  constexpr std::int64_t kBatch = 2;
  for (const LatentShape& s : kShapes) {
    const std::int64_t out_channels = 2 * s.channels;
    CAPTURE(s.channels, s.frames, s.height, s.width, s.patch);
    const auto tokens = random_values(kBatch * out_channels * s.plane(), 6);
    std::vector<float> expected(tokens.size());
    for_each(s, kBatch, out_channels, [&](std::int64_t b, std::int64_t c, Site p, std::int64_t i) {
      expected[i] = tokens[((b * s.tokens() + token_of(s, p)) * s.patch_volume() + place_of(s, p)) * out_channels + c];
    });
    for (const int threads : {1, 2, 3}) {
      Cpu cpu{threads};
      std::vector<float> images(tokens.size(), -99.0f);
      unpatchify(cpu, tokens.data(), s, kBatch, out_channels, images.data());
      CHECK(same_bits(images, expected));
    }
  }
}

}  // namespace
}  // namespace gpumonth::ops
