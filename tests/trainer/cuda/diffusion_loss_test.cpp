// Loss and gradient against the CPU, sample by sample: the variance's gradient at large t is a thousand times
// smaller than at small t.
#include "trainer/ops/diffusion_loss.h"

#include "tests/trainer/cuda/compare.h"

namespace gpumonth::ops {
namespace {

using tests::check_close, tests::check_same_bits, tests::gpu, tests::on_gpu, tests::Output, tests::random_values;

const auto kTable = ops::step_coefficients(ops::DiffusionSchedule());

struct Case {
  LatentShape shape;
  bool learn_sigma;
  std::vector<std::int32_t> t;

  std::int64_t batch() const { return static_cast<std::int64_t>(t.size()); }
  std::int64_t latents() const { return batch() * shape.channels * shape.plane(); }
  std::int64_t outputs() const { return latents() * (learn_sigma ? 2 : 1); }
};

const Case kCases[] = {
    {{4, 1, 32, 32, 1, 2}, true, {0, 500, 999}}, {{16, 4, 8, 12, 2, 2}, true, {700, 0, 1}},
    {{3, 1, 12, 12, 1, 4}, true, {3, 0, 998}},   {{2, 6, 4, 8, 2, 2}, true, {5}},
    {{4, 1, 8, 8, 1, 2}, false, {0, 1, 999}},    {{5, 3, 6, 9, 3, 3}, false, {250}},
};

template <class T>
struct Result {
  std::vector<T> gradient;
  std::vector<double> loss, mse, vb;
};

constexpr float kLossScale = 0.125f;

template <class T>
Result<T> on_cpu(const Case& c) {
  Cpu cpu{2};
  const auto tokens = random_values(c.outputs(), 1, 0.7f), x_0 = random_values(c.latents(), 2),
             noise = random_values(c.latents(), 3);
  Result<T> r{std::vector<T>(tokens.size()), std::vector<double>(c.t.size()), std::vector<double>(c.t.size()),
              std::vector<double>(c.t.size())};
  diffusion_loss(
      cpu, {tokens.data(), x_0.data(), noise.data(), c.t.data(), kTable.data(), c.shape, c.batch(), c.learn_sigma},
      kLossScale, r.gradient.data(), r.loss.data(), r.mse.data(), r.vb.data());
  return r;
}

template <class T>
Result<T> on_cuda(const Case& c, bool parts = true, bool wants_gradient = true) {
  const auto tokens = on_gpu(random_values(c.outputs(), 1, 0.7f)), x_0 = on_gpu(random_values(c.latents(), 2)),
             noise = on_gpu(random_values(c.latents(), 3));
  const auto t = on_gpu(c.t);
  const auto table = on_gpu(kTable);
  const Output<T> gradient(c.outputs());
  const Output<double> loss(c.batch()), mse(c.batch()), vb(c.batch());
  diffusion_loss(gpu(), {tokens.get(), x_0.get(), noise.get(), t.get(), table.get(), c.shape, c.batch(), c.learn_sigma},
                 kLossScale, wants_gradient ? gradient.get() : nullptr, loss.get(), parts ? mse.get() : nullptr,
                 parts ? vb.get() : nullptr);
  return {gradient.values("gradient"), loss.values("loss"), mse.values("mse"), vb.values("vb")};
}

/// One sample's gradient of epsilon (part 0) or of the variance (part 1).
template <class T>
std::vector<T> part_of(const Case& c, const std::vector<T>& gradient, std::int64_t sample, int part) {
  const auto channels = static_cast<std::size_t>(c.shape.channels), width = channels * (c.learn_sigma ? 2 : 1);
  const std::size_t size = gradient.size() / c.t.size(), begin = static_cast<std::size_t>(sample) * size;
  std::vector<T> values;
  for (std::size_t i = begin; i < begin + size; ++i)
    if (i % width / channels == static_cast<std::size_t>(part)) values.push_back(gradient[i]);
  return values;
}

template <class T>
void check(tests::Tolerance variance_tolerance) {
  for (const Case& c : kCases) {
    INFO(c.shape.channels << " x " << c.shape.frames << " x " << c.shape.height << " x " << c.shape.width << ", patch "
                          << c.shape.temporal_patch << " x " << c.shape.patch
                          << (c.learn_sigma ? ", learned variance" : ""));
    const Result<T> expected = on_cpu<T>(c), got = on_cuda<T>(c);
    check_close("loss", got.loss, expected.loss, {1e-6, 1e-6});
    check_close("mse", got.mse, expected.mse, {1e-7, 1e-7});
    check_close("vb", got.vb, expected.vb, {1e-6, 1e-6});
    for (std::int64_t b = 0; b < c.batch(); ++b) {
      INFO("t = " << c.t[static_cast<std::size_t>(b)]);
      check_close("gradient of epsilon", part_of(c, got.gradient, b, 0), part_of(c, expected.gradient, b, 0),
                  tests::rounded_once<T>());
      if (!c.learn_sigma) continue;
      check_close("gradient of the variance", part_of(c, got.gradient, b, 1), part_of(c, expected.gradient, b, 1),
                  variance_tolerance);
    }
    const Result<T> again = on_cuda<T>(c, false);
    check_same_bits("gradient", got.gradient, again.gradient);
    check_same_bits("loss", got.loss, again.loss);
    check_same_bits("loss alone", got.loss, on_cuda<T>(c, false, false).loss);
  }
}

TEST_CASE("cuda diffusion_loss in fp32 against the CPU") {
  gpu();
  check<float>({1e-5, 1e-4});  // 1 - ratio cancels at large t
}

TEST_CASE("cuda diffusion_loss with a bf16 gradient against the CPU") {
  gpu();
  check<bf16>(tests::kBf16Tolerance);
}

}  // namespace
}  // namespace gpumonth::ops
