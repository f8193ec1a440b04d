// Squares by block and the clipping factor: double arithmetic, so the backends differ in the order of sums alone.
#include "trainer/ops/grad_norm.h"

#include <algorithm>

#include "tests/trainer/cuda/compare.h"

namespace gpumonth::ops {
namespace {

using tests::gpu, tests::on_gpu, tests::on_host, tests::Output, tests::random_values;

constexpr tests::Tolerance kDoubleSums = {1e-13, 1e-13};

/// Blocks first .. last - 1 of the values behind the first `skip`, which decide the alignment.
std::vector<double> partials(const std::vector<float>& values, std::int64_t first, std::int64_t last,
                             std::int64_t skip = 0) {
  const auto device = on_gpu(values);
  const Output<double> partial(last - first);
  squares_by_block(gpu(), device.get() + skip, static_cast<std::int64_t>(values.size()) - skip, first, last,
                   partial.get());
  return partial.values("partial");
}

Clipping clipping_of(const std::vector<double>& partial, double clip_norm) {
  const auto device = on_gpu(partial);
  const auto result = on_gpu(std::vector<Clipping>{{.norm = -1, .scale = -1, .finite = -1}});
  clipping(gpu(), device.get(), static_cast<std::int64_t>(partial.size()), clip_norm, result.get());
  return on_host(result)[0];
}

TEST_CASE("cuda grad_norm: partial sums agree with the CPU's to 1e-13 and are the same bits twice") {
  gpu();
  Cpu cpu{2};
  for (const std::int64_t n : {1L, 17L, 2047L, 2049L, 65535L, 65536L, 65537L, 5 * 65536L + 13}) {
    for (const std::int64_t skip : {0L, 1L}) {
      INFO(n << " values, the first at element " << skip);
      const auto values = random_values(n + skip, 3, 2.5f);
      std::vector<double> expected(static_cast<std::size_t>(norm_blocks(n)));
      squares_by_block(cpu, values.data() + skip, n, 0, norm_blocks(n), expected.data());
      const auto got = partials(values, 0, norm_blocks(n), skip);
      check_close("partial", got, expected, kDoubleSums);
      tests::check_same_bits("partial", got, partials(values, 0, norm_blocks(n), skip));
    }
  }
}

TEST_CASE("cuda grad_norm: a range of blocks gives the partial sums of the whole") {
  gpu();
  const auto values = random_values(5 * 65536 + 13, 3);
  const auto whole = partials(values, 0, 6), part = partials(values, 3, 6);
  CHECK(tests::same_bits(part, std::vector<double>(whole.begin() + 3, whole.end())));
  CHECK(partials(values, 2, 2).empty());
}

TEST_CASE("cuda grad_norm: clipping from few and from many partial sums") {
  gpu();
  for (const std::size_t count : {0UL, 1UL, 31UL, 1024UL, 1025UL, 300000UL}) {
    for (const double clip_norm : {0.0, 1.0, 1e9}) {
      INFO(count << " partial sums, clip_norm " << clip_norm);
      std::vector<double> partial;
      for (const float v : random_values(static_cast<std::int64_t>(count), 4)) partial.push_back(double{v} * double{v});
      Cpu cpu;
      Clipping expected;
      clipping(cpu, partial.data(), static_cast<std::int64_t>(count), clip_norm, &expected);
      const Clipping got = clipping_of(partial, clip_norm), again = clipping_of(partial, clip_norm);
      CHECK(got.norm == Approx(expected.norm).epsilon(1e-12).margin(0));
      CHECK(got.scale == Approx(expected.scale).epsilon(1e-7).margin(0));
      CHECK(got.finite == 1);
      CHECK(std::memcmp(&got, &again, sizeof got) == 0);
    }
  }
}

TEST_CASE("cuda grad_norm: a NaN or an infinity anywhere is not finite") {
  gpu();
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    auto values = random_values(200000, 4);
    values[150001] = bad;
    const Clipping got = clipping_of(partials(values, 0, norm_blocks(200000)), 1.0);
    CHECK(got.finite == 0);
    CHECK_FALSE(std::isfinite(got.norm));
  }
}

}  // namespace
}  // namespace gpumonth::ops
