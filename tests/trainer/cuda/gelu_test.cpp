// GELU on the GPU: against the formula, as on the CPU, and against the CPU at the model's widths.
#include "tests/trainer/cuda/compare.h"
#include "tests/trainer/ops/gelu_checks.h"

namespace gpumonth::ops {
namespace {

using tests::check_close, tests::check_same_gelu, tests::gpu, tests::GeluRun;

template <class T>
void check_against_cpu() {
  Cpu cpu{2};
  for (const std::int64_t columns : {37, 72, 384, 1152, 6144}) {
    for (const std::int64_t rows : {1, 17, 256, 3 * 257}) {
      INFO(rows << " x " << columns);
      const GeluRun<T> expected(cpu, rows, columns), got(gpu(), rows, columns);
      check_close("y", got.y, expected.y, tests::rounded_once<T>());
      check_close("du", got.du, expected.du, tests::rounded_once<T>());
      check_close("dbias", got.dbias, expected.dbias, tests::kSumTolerance);
      check_same_gelu(got, GeluRun<T>(gpu(), rows, columns));
    }
  }
}

TEST_CASE("cuda gelu against the formula and its central differences") {
  tests::check_gelu<float>(gpu());
  tests::check_gelu<bf16>(gpu());
  tests::check_gelu_tails<float>(gpu());
  tests::check_gelu_tails<bf16>(gpu());
}

TEST_CASE("cuda gelu in fp32 against the CPU") { check_against_cpu<float>(); }

TEST_CASE("cuda gelu in bf16 against the CPU") { check_against_cpu<bf16>(); }

}  // namespace
}  // namespace gpumonth::ops
