// AdamW on the GPU against the CPU: parameters, moments, moving average and rounded parameters.
#include "trainer/ops/adamw.h"

#include "tests/trainer/cuda/compare.h"

namespace gpumonth::ops {
namespace {

using tests::check_close, tests::check_same_bits, tests::gpu, tests::on_gpu, tests::Output, tests::random_values;

struct State {
  std::vector<float> parameters, exp_avg, exp_avg_sq, ema;
  std::vector<bf16> rounded;
};

State start(std::int64_t n) {
  State s{random_values(n, 1), random_values(n, 2, 0.1f), random_values(n, 3, 0.1f), random_values(n, 4), {}};
  for (float& v : s.exp_avg_sq) v *= v;
  s.rounded.assign(static_cast<std::size_t>(n), tests::not_a_number<bf16>());
  return s;
}

AdamWStep step_of(std::int64_t step) {
  return adamw_step({.learning_rate = 1e-3, .weight_decay = 0.1, .ema_decay = 0.99}, step);
}

State on_cpu(std::int64_t n, Clipping clipping, bool rounded, int steps) {
  Cpu cpu{2};
  State s = start(n);
  const std::vector<float> gradients = random_values(n, 5);
  for (int i = 1; i <= steps; ++i) {
    const AdamWStep step = step_of(i);
    adamw(cpu, &step, &clipping, n, gradients.data(), s.parameters.data(), s.exp_avg.data(), s.exp_avg_sq.data(),
          s.ema.data(), rounded ? s.rounded.data() : nullptr);
  }
  return s;
}

State on_cuda(std::int64_t n, Clipping clipping, bool rounded, int steps) {
  const State s = start(n);
  const auto gradients = on_gpu(random_values(n, 5));
  const auto device_clipping = on_gpu(std::vector<Clipping>{clipping});
  const Output<float> parameters(s.parameters), exp_avg(s.exp_avg), exp_avg_sq(s.exp_avg_sq), ema(s.ema);
  const Output<bf16> typed(s.rounded);
  for (int i = 1; i <= steps; ++i) {
    const auto step = on_gpu(std::vector<AdamWStep>{step_of(i)});
    adamw(gpu(), step.get(), device_clipping.get(), n, gradients.get(), parameters.get(), exp_avg.get(),
          exp_avg_sq.get(), ema.get(), rounded ? typed.get() : nullptr);
    synchronize(gpu());
  }
  return {parameters.values("parameters"), exp_avg.values("exp_avg"), exp_avg_sq.values("exp_avg_sq"),
          ema.values("ema"), typed.values("rounded")};
}

TEST_CASE("cuda adamw: three steps agree with the CPU's, within a few roundings, and are the same bits twice") {
  gpu();
  for (const std::int64_t n : {1L, 3L, 4L, 1023L, 1024L, 65536L + 13, 1000000L}) {
    for (const bool rounded : {true, false}) {
      const Clipping clipping{.norm = 2, .scale = 0.5f, .finite = 1};
      INFO(n << " elements" << (rounded ? ", with bf16 copy" : ""));
      const State expected = on_cpu(n, clipping, rounded, 3), got = on_cuda(n, clipping, rounded, 3);
      check_close("parameters", got.parameters, expected.parameters, tests::kFp32Tolerance);
      check_close("exp_avg", got.exp_avg, expected.exp_avg, tests::kFp32Tolerance);
      check_close("exp_avg_sq", got.exp_avg_sq, expected.exp_avg_sq, tests::kFp32Tolerance);
      check_close("ema", got.ema, expected.ema, tests::kFp32Tolerance);
      if (rounded) {
        std::vector<bf16> exact(got.parameters.size());
        for (std::size_t i = 0; i < exact.size(); ++i) exact[i] = from_float<bf16>(got.parameters[i]);
        check_close("rounded", got.rounded, exact, tests::kExactTolerance);
      }
      const State again = on_cuda(n, clipping, rounded, 3);
      check_same_bits("parameters", got.parameters, again.parameters);
      check_same_bits("exp_avg", got.exp_avg, again.exp_avg);
      check_same_bits("exp_avg_sq", got.exp_avg_sq, again.exp_avg_sq);
      check_same_bits("ema", got.ema, again.ema);
    }
  }
}

TEST_CASE("cuda adamw: nothing is written where the norm is not finite") {
  gpu();
  const State before = start(1000), after = on_cuda(1000, {.norm = NAN, .scale = NAN, .finite = 0}, true, 1);
  CHECK(tests::same_bits(before.parameters, after.parameters));
  CHECK(tests::same_bits(before.exp_avg, after.exp_avg));
  CHECK(tests::same_bits(before.exp_avg_sq, after.exp_avg_sq));
  CHECK(tests::same_bits(before.ema, after.ema));
  CHECK(tests::same_bits(before.rounded, after.rounded));
}

TEST_CASE("cuda adamw: a part of the flat buffer that is not aligned to vectors") {
  gpu();
  constexpr std::int64_t kCount = 777;
  const State s = start(kCount + 1);
  const auto gradients = on_gpu(random_values(kCount + 1, 5));
  const auto clipping = on_gpu(std::vector<Clipping>{{}});
  const auto step = on_gpu(std::vector<AdamWStep>{step_of(1)});
  const Output<float> parameters(s.parameters), exp_avg(s.exp_avg), exp_avg_sq(s.exp_avg_sq), ema(s.ema);
  adamw(gpu(), step.get(), clipping.get(), kCount, gradients.get() + 1, parameters.get() + 1, exp_avg.get() + 1,
        exp_avg_sq.get() + 1, ema.get() + 1, nullptr);
  const State whole = on_cpu(kCount + 1, {}, false, 1);
  auto got = parameters.values("parameters");
  CHECK(got[0] == s.parameters[0]);
  got[0] = whole.parameters[0];
  check_close("parameters", got, whole.parameters, tests::kFp32Tolerance);
}

}  // namespace
}  // namespace gpumonth::ops
