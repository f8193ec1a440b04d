// The same noise on both backends: the words are Philox's, Box-Muller may differ by fused multiply-adds.
#include "trainer/ops/noising.h"

#include <algorithm>

#include "tests/trainer/cuda/compare.h"

namespace gpumonth::ops {
namespace {

using tests::gpu, tests::on_gpu, tests::Output, tests::random_values;

constexpr std::uint64_t kSeed = 0x123456789abcdef0;

std::vector<float> noise_of(std::uint32_t first_sample, std::int64_t batch, std::int64_t size) {
  const Output<float> noise(batch * size);
  draw_noise(gpu(), kSeed, 7, first_sample, batch, size, noise.get());
  return noise.values("noise");
}

TEST_CASE("cuda draw_noise: the CPU's numbers within 2e-6, for any size, batch and split over ranks") {
  gpu();
  Cpu cpu{2};
  for (const std::int64_t size : {1L, 5L, 1023L, 1024L, 4096L, 5003L}) {
    INFO(size << " values a sample");
    std::vector<float> expected(static_cast<std::size_t>(3 * size));
    draw_noise(cpu, kSeed, 7, 10, 3, size, expected.data());
    const auto got = noise_of(10, 3, size);
    double worst = 0;
    for (std::size_t i = 0; i < got.size(); ++i)
      worst = std::max(worst, std::isnan(got[i]) ? 1.0 : std::abs(double{got[i]} - double{expected[i]}));
    CHECK(worst < 2e-6);
    tests::check_same_bits("noise", got, noise_of(10, 3, size));
    auto split = noise_of(10, 1, size);
    const auto rest = noise_of(11, 2, size);
    split.insert(split.end(), rest.begin(), rest.end());
    CHECK(tests::same_bits(got, split));
  }
}

TEST_CASE("cuda draw_noise_part: the whole sample's bits") {
  gpu();
  for (const auto& [plane, parts] : {std::pair{12L, 3L}, {10L, 5L}, {4096L, 2L}, {2600L, 2L}, {6L, 6L}}) {
    INFO(plane << " values a channel in " << parts << " parts");
    const auto whole = noise_of(10, 3, 2 * plane);
    const std::int64_t count = plane / parts;
    for (std::int64_t part = 0; part < parts; ++part) {
      const Output<float> noise(3 * 2 * count);
      draw_noise_part(gpu(), kSeed, 7, 10, 3, {2, plane, part * count, count}, noise.get());
      const auto got = noise.values("noise");
      std::size_t wrong = 0;
      for (std::int64_t row = 0; row < 6; ++row)
        for (std::int64_t i = 0; i < count; ++i)
          wrong += got[static_cast<std::size_t>(row * count + i)] !=
                   whole[static_cast<std::size_t>(row * plane + part * count + i)];
      CHECK(wrong == 0);
    }
  }
}

TEST_CASE("cuda add_noise agrees with the CPU to fp32 rounding") {
  gpu();
  Cpu cpu{2};
  const auto table = ops::step_coefficients(ops::DiffusionSchedule());
  const std::vector<std::int32_t> t = {0, 500, 999};
  const auto device_table = on_gpu(table);
  const auto device_t = on_gpu(t);
  for (const std::int64_t size : {1L, 333L, 1024L, 4096L}) {
    INFO(size << " values a sample");
    const auto x_0 = random_values(3 * size, 1), noise = random_values(3 * size, 2);
    const auto device_x_0 = on_gpu(x_0), device_noise = on_gpu(noise);
    std::vector<float> expected(x_0.size());
    add_noise(cpu, x_0.data(), noise.data(), t.data(), table.data(), 3, size, expected.data());
    const Output<float> x_t(3 * size);
    add_noise(gpu(), device_x_0.get(), device_noise.get(), device_t.get(), device_table.get(), 3, size, x_t.get());
    check_close("x_t", x_t.values("x_t"), expected, tests::kFp32Tolerance);
  }
}

}  // namespace
}  // namespace gpumonth::ops
