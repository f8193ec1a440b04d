// GELU forward, backward and its bias gradient against the CPU.
#include "trainer/ops/gelu.h"

#include "tests/trainer/cuda/compare.h"
#include "trainer/ops/column_sum.h"

namespace gpumonth::ops {
namespace {

using tests::check_close, tests::check_same_bits, tests::gpu, tests::on_gpu, tests::Output, tests::random_values,
    tests::typed;

template <class T>
struct Result {
  std::vector<T> y, du;
  std::vector<float> dbias;
};

template <class T>
Result<T> on_cpu(std::int64_t rows, std::int64_t columns, const std::vector<T>& u, const std::vector<T>& dy) {
  Cpu cpu{2};
  Result<T> r{std::vector<T>(u.size()), dy, std::vector<float>(static_cast<std::size_t>(columns))};
  std::vector<float> scratch(static_cast<std::size_t>(column_sum_scratch(rows, columns)));
  gelu_forward(cpu, rows * columns, u.data(), r.y.data());
  gelu_backward(cpu, rows, columns, u.data(), r.du.data(), r.dbias.data(), scratch.data());
  return r;
}

template <class T>
Result<T> on_cuda(std::int64_t rows, std::int64_t columns, const std::vector<T>& u, const std::vector<T>& dy) {
  const auto device_u = on_gpu(u);
  const Output<T> y(rows * columns), du(dy);
  const Output<float> dbias(columns), scratch(column_sum_scratch(rows, columns));
  gelu_forward(gpu(), rows * columns, static_cast<const T*>(device_u.get()), y.get());
  gelu_backward(gpu(), rows, columns, static_cast<const T*>(device_u.get()), du.get(), dbias.get(), scratch.get());
  scratch.values("scratch");
  return {y.values("y"), du.values("du"), dbias.values("dbias")};
}

template <class T>
void check() {
  for (const std::int64_t columns : {37, 72, 384, 1152, 6144}) {
    for (const std::int64_t rows : {1, 17, 256, 3 * 257}) {
      INFO(rows << " x " << columns);
      const auto u = typed<T>(random_values(rows * columns, 1, 2)), dy = typed<T>(random_values(rows * columns, 2));
      const Result<T> expected = on_cpu(rows, columns, u, dy), got = on_cuda(rows, columns, u, dy);
      check_close("y", got.y, expected.y, tests::rounded_once<T>());
      check_close("du", got.du, expected.du, tests::rounded_once<T>());
      check_close("dbias", got.dbias, expected.dbias, tests::kSumTolerance);
      const Result<T> again = on_cuda(rows, columns, u, dy);
      check_same_bits("y", got.y, again.y);
      check_same_bits("du", got.du, again.du);
      check_same_bits("dbias", got.dbias, again.dbias);
    }
  }
}

TEST_CASE("cuda gelu in fp32 against the CPU") {
  gpu();
  check<float>();
}

TEST_CASE("cuda gelu in bf16 against the CPU") {
  gpu();
  check<bf16>();
}

}  // namespace
}  // namespace gpumonth::ops
