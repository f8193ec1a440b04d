// What lies between the passes of consistency distillation, and its loss, against the CPU.
#include "trainer/ops/consistency.h"

#include "tests/trainer/cuda/compare.h"
#include "tests/trainer/ops/consistency_cases.h"

namespace gpumonth::ops {
namespace {

using tests::check_close, tests::ConsistencyCase, tests::gpu, tests::kConsistencyCases, tests::on_gpu, tests::Output,
    tests::random_values;

template <class T>
void check_loss(tests::Tolerance tolerance) {
  constexpr float kScale = 0.125f;
  for (const ConsistencyCase& c : kConsistencyCases) {
    INFO(c.name);
    std::vector<T> expected(c.tokens.size());
    std::vector<double> expected_loss(c.t.size());
    Cpu cpu{2};
    consistency_loss(cpu, c.input(c.tokens.data(), c.x_t.data(), c.target.data(), c.t.data(), c.table.data()), kScale,
                     expected.data(), expected_loss.data());
    const auto tokens = on_gpu(c.tokens), x_t = on_gpu(c.x_t), target = on_gpu(c.target);
    const auto t = on_gpu(c.t);
    const auto table = on_gpu(c.table);
    const auto input = c.input(tokens.get(), x_t.get(), target.get(), t.get(), table.get());
    const Output<T> gradient(static_cast<std::int64_t>(c.tokens.size())),
        again(static_cast<std::int64_t>(c.tokens.size()));
    const Output<double> loss(c.batch()), loss_alone(c.batch());
    consistency_loss(gpu(), input, kScale, gradient.get(), loss.get());
    check_close("loss", loss.values("loss"), expected_loss, {1e-6, 1e-6});
    check_close("gradient", gradient.values("gradient"), expected, tolerance);
    consistency_loss(gpu(), input, kScale, again.get(), loss.get());
    tests::check_same_bits("gradient", gradient.values("gradient"), again.values("gradient"));
    consistency_loss(gpu(), input, kScale, static_cast<T*>(nullptr), loss_alone.get());
    tests::check_same_bits("loss alone", loss.values("loss"), loss_alone.values("loss"));
  }
}

TEST_CASE("cuda consistency_loss in fp32 against the CPU") {
  gpu();
  check_loss<float>(tests::kSumTolerance);
}

TEST_CASE("cuda consistency_loss with a bf16 gradient against the CPU") {
  gpu();
  check_loss<bf16>(tests::kBf16Tolerance);
}

TEST_CASE("cuda teacher_step and consistency_target agree with the CPU to fp32 rounding") {
  gpu();
  const auto table = consistency_coefficients(DiffusionSchedule(), 20);
  const std::vector<std::int32_t> t{0, 7, 640, 999};
  for (const std::int64_t plane : {1L, 333L}) {
    const std::int64_t batch = 4, channels = 4, out_channels = 8;
    const auto output = random_values(2 * batch * out_channels * plane, 1),
               x_t = random_values(batch * channels * plane, 2);
    std::vector<float> expected(x_t.size());
    std::vector<std::int32_t> expected_s(t.size());
    Cpu cpu{2};
    const auto input = [&](const float* of, bool guided) {
      return ReverseStepInput{of, nullptr, batch, channels, out_channels, plane, guided, 4.0f};
    };
    teacher_step(cpu, input(output.data(), true), t.data(), table.data(), x_t.data(), expected.data(),
                 expected_s.data());
    const auto output_on = on_gpu(output), x_t_on = on_gpu(x_t);
    const auto t_on = on_gpu(t);
    const auto table_on = on_gpu(table);
    const Output<float> x_s(batch * channels * plane);
    const Output<std::int32_t> s(batch);
    teacher_step(gpu(), input(output_on.get(), true), t_on.get(), table_on.get(), x_t_on.get(), x_s.get(), s.get());
    check_close("x_s", x_s.values("x_s"), expected, tests::kFp32Tolerance);
    CHECK(s.values("s") == expected_s);
    consistency_target(cpu, input(output.data(), false), expected_s.data(), table.data(), expected.data());
    consistency_target(gpu(), input(output_on.get(), false), s.get(), table_on.get(), x_s.get());
    check_close("target", x_s.values("target"), expected, tests::kSumTolerance);
  }
}

}  // namespace
}  // namespace gpumonth::ops
