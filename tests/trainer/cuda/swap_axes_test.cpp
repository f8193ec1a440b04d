// Moves without arithmetic: the CPU's bits, for words of 16, 8, 4 and 2 bytes.
#include "trainer/ops/swap_axes.h"

#include "tests/trainer/cuda/compare.h"

namespace gpumonth::ops {
namespace {

using tests::gpu, tests::on_gpu, tests::Output;

template <class T>
void check(std::int64_t a, std::int64_t b, std::int64_t w) {
  INFO(a << " x " << b << " rows of " << w << " elements of " << sizeof(T) << " bytes");
  Cpu cpu{2};
  const auto random = tests::random_values(a * b * w, 5);
  std::vector<T> in, expected(random.size());
  for (const float v : random) in.push_back(from_float<T>(v));
  swap_axes(cpu, a, b, w, in.data(), expected.data());
  const auto from = on_gpu(in);
  const Output<T> out(a * b * w);
  swap_axes(gpu(), a, b, w, from.get(), out.get());
  CHECK(tests::same_bits(out.values("out"), expected));
}

TEST_CASE("cuda swap_axes: the CPU's bits for any width") {
  gpu();
  for (const auto& [a, b, w] : {std::tuple{1, 1, 1},
                                {1, 4, 7},
                                {4, 1, 7},
                                {2, 3, 5},
                                {64, 4, 12},
                                {33, 2, 36},
                                {3, 2, 2000},
                                {500, 2, 3},
                                {7, 8, 16}}) {
    check<float>(a, b, w);
    check<bf16>(a, b, w);
  }
}

}  // namespace
}  // namespace gpumonth::ops
