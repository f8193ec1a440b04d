// Gated residual, LayerNorm and modulation on the GPU: as on the CPU, and against it at the model's widths.
#include "tests/trainer/cuda/compare.h"
#include "tests/trainer/ops/residual_norm_checks.h"

namespace gpumonth::ops {
namespace {

using namespace tests;

template <class T>
void check_case(const ResidualNormCase& c) {
  INFO(c.name());
  constexpr Tolerance kRounded = sizeof(T) == 2 ? kBf16Tolerance : kSumTolerance;
  Cpu cpu{2};
  const ResidualNormInputs<T> in(c);
  const auto f = residual_norm_values(cpu, c, in), got = residual_norm_values(gpu(), c, in);
  check_close("x_out", got.x_out, f.x_out, kFp32Tolerance);
  check_close("mean", got.mean, f.mean, kSumTolerance);
  check_close("rstd", got.rstd, f.rstd, kSumTolerance);
  check_close("y", got.y, f.y, kRounded);
  check_same_residual_norm(got, residual_norm_values(gpu(), c, in));

  const auto expected = residual_norm_gradients(cpu, c, in, f), b = residual_norm_gradients(gpu(), c, in, f);
  check_close("dx", b.dx, expected.dx, kSumTolerance);
  for (const Chunk which : {kShift, kScale, kGate}) {
    if (which == kGate && !c.with_branch) continue;
    INFO("chunk " << which);
    check_close("d_modulation", chunk_of(c, b.d_modulation, which), chunk_of(c, expected.d_modulation, which),
                kSumTolerance);
  }
  CHECK(untouched_between(c, b.d_modulation));
  check_same_residual_norm(b, residual_norm_gradients(gpu(), c, in, f));
  if (!c.with_branch) return;
  check_close("dbranch_bias", b.dbias, expected.dbias, kSumTolerance);
  check_close("dbranch", b.dbranch, expected.dbranch, kRounded);
}

template <class T>
void check(std::int64_t width, std::int64_t gap = 0) {
  if (!every_shape()) {
    check_case<T>({{1, 1, width, 3 * width + gap}, true, true});
    check_case<T>({{1, 256, width, 3 * width + gap}, true, false});
    for (const bool with_branch : {true, false}) check_case<T>({{3, 17, width, 3 * width + gap}, with_branch, false});
    return;
  }
  for (const std::int64_t batch : {1, 3})
    for (const std::int64_t tokens : {1, 17, 256})
      for (const bool with_branch : {true, false})
        for (const bool first : {true, false})
          check_case<T>({{batch, tokens, width, 3 * width + gap}, with_branch, first});
}

TEST_CASE("cuda residual_norm: values and central differences") {
  check_residual_norm<float>(gpu());
  check_residual_norm<bf16>(gpu());
}

// 72, 384, 768: one vector or a few a thread; 1152: nine; 1600: two warps a row; 6144 and 8192: four and six.
TEST_CASE("cuda residual_norm in fp32 against the CPU") {
  gpu();
  for (const std::int64_t width : {72, 384, 768, 1152, 1600, 6144}) check<float>(width);
}

TEST_CASE("cuda residual_norm in bf16 against the CPU") {
  gpu();
  for (const std::int64_t width : {72, 384, 768, 1152, 1600, 6144}) check<bf16>(width);
}

TEST_CASE("cuda residual_norm: widths and strides that vectors do not divide") {
  gpu();
  for (const std::int64_t width : {5, 37, 385, 1153}) check<float>(width);
  for (const std::int64_t width : {37, 385, 1153}) check<bf16>(width);
  check<bf16>(72, 2);
}

// A sample of 18 chunks of rows, more than one warp sums; and more chunks of 32 rows than the emulator's 4
// multiprocessors hold at a time, so that chunks are of 64.
TEST_CASE("cuda residual_norm: many partial sums, and few of more rows") {
  gpu();
  for (const bool with_branch : {true, false}) {
    check_case<bf16>({{1, 549, 72, 3 * 72}, with_branch, false});
    check_case<bf16>({{40, 70, 384, 3 * 384}, with_branch, false});
    check_case<float>({{48, 70, 37, 3 * 37}, with_branch, false});
  }
}

TEST_CASE("cuda residual_norm: the widest rows, and a message beyond") {
  gpu();
  check_case<bf16>({{2, 40, 8192, 3 * 8192}, true, false});
  check_case<bf16>({{1, 3, 12288, 3 * 12288}, true, false});
  check_case<float>({{1, 3, 12288, 3 * 12288}, false, true});
  const ResidualNormCase wide{{1, 1, 12296, 3 * 12296}, false, true};
  CHECK_THROWS_AS(residual_norm_values(gpu(), wide, ResidualNormInputs<float>(wide)), CudaError);
}

}  // namespace
}  // namespace gpumonth::ops
