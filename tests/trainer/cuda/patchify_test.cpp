// Index maps: the same bits as on the CPU.
#include "trainer/ops/patchify.h"

#include "tests/trainer/cuda/compare.h"

namespace gpumonth::ops {
namespace {

using tests::gpu, tests::on_gpu, tests::Output, tests::random_values;

// Images and videos; patch values that vectors divide (16, 32, 64) and that they do not (27, 6, 9).
constexpr LatentShape kShapes[] = {{4, 1, 32, 32, 1, 2}, {4, 1, 8, 8, 1, 4}, {3, 1, 12, 12, 1, 4}, {16, 4, 8, 12, 2, 2},
                                   {2, 6, 4, 8, 2, 2},   {5, 3, 6, 9, 3, 3}, {6, 1, 3, 5, 1, 1},   {1, 1, 6, 6, 1, 3}};

std::string text(const LatentShape& s) {
  return std::to_string(s.channels) + " x " + std::to_string(s.frames) + " x " + std::to_string(s.height) + " x " +
         std::to_string(s.width) + ", patch " + std::to_string(s.temporal_patch) + " x " + std::to_string(s.patch);
}

template <class T>
void check_patchify() {
  Cpu cpu{2};
  for (const LatentShape& s : kShapes) {
    for (const std::int64_t batch : {1, 3}) {
      INFO(text(s) << ", batch " << batch);
      const std::int64_t n = batch * s.channels * s.plane();
      const auto latents = random_values(n, 1);
      const auto device_latents = on_gpu(latents);
      std::vector<T> expected(latents.size());
      patchify(cpu, latents.data(), s, batch, expected.data());
      const Output<T> patches(n);
      patchify(gpu(), device_latents.get(), s, batch, patches.get());
      check_close("patches", patches.values("patches"), expected, tests::kExactTolerance);
    }
  }
}

TEST_CASE("cuda patchify in fp32 moves the same bits as the CPU") {
  gpu();
  check_patchify<float>();
}

TEST_CASE("cuda patchify in bf16 moves the same bits as the CPU") {
  gpu();
  check_patchify<bf16>();
}

TEST_CASE("cuda unpatchify moves the same bits as the CPU") {
  gpu();
  Cpu cpu{2};
  for (const LatentShape& s : kShapes) {
    for (const std::int64_t out_channels : {s.channels, 2 * s.channels}) {
      INFO(text(s) << ", " << out_channels << " channels out");
      const std::int64_t n = 3 * out_channels * s.plane();
      const auto tokens = random_values(n, 2);
      const auto device_tokens = on_gpu(tokens);
      std::vector<float> expected(tokens.size());
      unpatchify(cpu, tokens.data(), s, 3, out_channels, expected.data());
      const Output<float> images(n);
      unpatchify(gpu(), device_tokens.get(), s, 3, out_channels, images.get());
      check_close("images", images.values("images"), expected, tests::kExactTolerance);
    }
  }
}

}  // namespace
}  // namespace gpumonth::ops
