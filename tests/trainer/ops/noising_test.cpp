#include "trainer/ops/noising.h"

#include "tests/catch.h"
#include "tests/trainer/ops/values.h"

namespace gpumonth::ops {
namespace {

using tests::same_bits;

std::vector<float> noise_of(int threads, std::uint32_t first_sample, std::int64_t batch, std::int64_t size) {
  Cpu cpu{threads};
  std::vector<float> noise(static_cast<std::size_t>(batch * size), -99.0f);
  draw_noise(cpu, 42, 7, first_sample, batch, size, noise.data());
  return noise;
}

TEST_CASE("noise depends on the sample alone, not on threads or the split over ranks") {
  for (const std::int64_t size : {1L, 5L, 1023L, 1024L, 4096L, 5003L}) {
    CAPTURE(size);
    const auto all = noise_of(1, 10, 4, size);
    CHECK(same_bits(all, noise_of(2, 10, 4, size)));
    CHECK(same_bits(all, noise_of(3, 10, 4, size)));
    auto halves = noise_of(1, 10, 2, size);
    const auto second = noise_of(2, 12, 2, size);
    halves.insert(halves.end(), second.begin(), second.end());
    CHECK(same_bits(all, halves));
  }
}

TEST_CASE("a part of a sample has the sample's noise") {
  constexpr std::int64_t kBatch = 3, kChannels = 4;
  for (const auto& [plane, parts] : {std::pair{12L, 3L}, {10L, 5L}, {4096L, 2L}, {2600L, 2L}, {6L, 6L}}) {
    CAPTURE(plane, parts);
    const auto whole = noise_of(1, 10, kBatch, kChannels * plane);
    const std::int64_t count = plane / parts;
    for (std::int64_t part = 0; part < parts; ++part) {
      for (const int threads : {1, 3}) {
        Cpu cpu{threads};
        std::vector<float> own(static_cast<std::size_t>(kBatch * kChannels * count), -99.0f);
        draw_noise_part(cpu, 42, 7, 10, kBatch, {kChannels, plane, part * count, count}, own.data());
        double worst = 0;
        for (std::int64_t row = 0; row < kBatch * kChannels; ++row)
          for (std::int64_t i = 0; i < count; ++i)
            worst = std::max(worst, std::abs(double{own[static_cast<std::size_t>(row * count + i)]} -
                                             double{whole[static_cast<std::size_t>(row * plane + part * count + i)]}));
        CHECK(worst < 1e-6);  // vectors of draws begin elsewhere: the last bit may differ
      }
    }
  }
}

TEST_CASE("noise is Philox and Box-Muller element by element") {
  const auto noise = noise_of(2, 10, 2, 5003);
  double worst = 0;
  for (std::uint32_t b = 0; b < 2; ++b) {
    for (std::uint32_t e = 0; e < 5003; ++e) {
      float four[4];
      ops::normal4(ops::philox(42, 7, 10 + b, ops::Purpose::noise, e / 4), four);
      worst = std::max(worst, std::abs(double{noise[b * 5003 + e]} - double{four[e % 4]}));
    }
  }
  CHECK(worst < 2e-6);  // fused multiply-adds may differ between translation units
}

TEST_CASE("neighbouring samples, steps and seeds are uncorrelated") {
  constexpr std::int64_t kSize = 100000;
  const auto a = noise_of(1, 10, 2, kSize);
  Cpu cpu;
  std::vector<float> other_step(kSize), other_seed(kSize);
  draw_noise(cpu, 42, 8, 10, 1, kSize, other_step.data());
  draw_noise(cpu, 43, 7, 10, 1, kSize, other_seed.data());
  double next_sample = 0, step = 0, seed = 0, variance = 0, mean = 0;
  for (std::size_t i = 0; i < kSize; ++i) {
    const double x = double{a[i]};
    next_sample += x * double{a[kSize + i]} / kSize;
    step += x * double{other_step[i]} / kSize;
    seed += x * double{other_seed[i]} / kSize;
    variance += x * x / kSize;
    mean += x / kSize;
  }
  CHECK(std::abs(next_sample) < 0.015);  // more than 4 standard errors
  CHECK(std::abs(step) < 0.015);
  CHECK(std::abs(seed) < 0.015);
  CHECK(std::abs(mean) < 0.015);
  CHECK(variance == Approx(1).margin(0.02));
}

TEST_CASE("add_noise mixes by the schedule of each sample's t") {
  const ops::DiffusionSchedule schedule;
  const auto table = ops::step_coefficients(schedule);
  constexpr std::int64_t kBatch = 4, kSize = 333;
  const auto x_0 = tests::random_values(kBatch * kSize, 1), noise = tests::random_values(kBatch * kSize, 2);
  const std::vector<std::int32_t> t = {0, 1, 500, 999};
  std::vector<float> one(x_0.size()), three(x_0.size());
  Cpu cpu{1}, cpu3{3};
  add_noise(cpu, x_0.data(), noise.data(), t.data(), table.data(), kBatch, kSize, one.data());
  add_noise(cpu3, x_0.data(), noise.data(), t.data(), table.data(), kBatch, kSize, three.data());
  std::vector<double> exact;
  for (std::size_t i = 0; i < x_0.size(); ++i) {
    const auto ti = static_cast<std::size_t>(t[i / kSize]);
    exact.push_back(schedule.sqrt_alphas_cumprod[ti] * double{x_0[i]} +
                    schedule.sqrt_one_minus_alphas_cumprod[ti] * double{noise[i]});
  }
  CHECK(tests::relative_distance(one, exact) < 1e-7);
  CHECK(same_bits(one, three));
}

}  // namespace
}  // namespace gpumonth::ops
