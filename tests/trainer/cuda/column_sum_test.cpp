// Column sums against the CPU: few and many rows, rows with a stride, widths that vectors do not divide.
#include "trainer/ops/column_sum.h"

#include "tests/trainer/cuda/compare.h"

namespace gpumonth::ops {
namespace {

using tests::gpu, tests::on_gpu, tests::Output, tests::random_values, tests::typed;

template <class T>
std::vector<float> on_cuda(std::int64_t rows, std::int64_t columns, std::int64_t stride, const std::vector<T>& dy) {
  const auto device_dy = on_gpu(dy);
  const Output<float> dbias(columns), scratch(column_sum_scratch(rows, columns));
  column_sum(gpu(), rows, columns, stride, static_cast<const T*>(device_dy.get()), dbias.get(), scratch.get());
  scratch.values("scratch");
  return dbias.values("dbias");
}

template <class T>
void check() {
  Cpu cpu{2};
  for (const std::int64_t columns : {5, 37, 72, 384, 1152, 6144}) {
    for (const std::int64_t rows : {1, 17, 256, 257, 3000}) {
      for (const std::int64_t gap : {0, 8, 5}) {
        INFO(rows << " x " << columns << ", stride " << columns + gap);
        const auto dy = typed<T>(random_values(rows * (columns + gap), 1));
        std::vector<float> expected(static_cast<std::size_t>(columns)),
            scratch(static_cast<std::size_t>(column_sum_scratch(rows, columns)));
        column_sum(cpu, rows, columns, columns + gap, dy.data(), expected.data(), scratch.data());
        const auto got = on_cuda(rows, columns, columns + gap, dy);
        check_close("dbias", got, expected, tests::kSumTolerance);
        tests::check_same_bits("dbias", got, on_cuda(rows, columns, columns + gap, dy));
      }
    }
  }
}

TEST_CASE("cuda column_sum in fp32 against the CPU") {
  gpu();
  check<float>();
}

TEST_CASE("cuda column_sum in bf16 against the CPU") {
  gpu();
  check<bf16>();
}

}  // namespace
}  // namespace gpumonth::ops
