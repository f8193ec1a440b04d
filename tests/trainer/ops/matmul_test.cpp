// The oneDNN wrapper: strides, batches, packing, bias, accumulation and types against naive sums in double.
#include <omp.h>

#include "machine/threads.h"
#include "tests/catch.h"
#include "tests/trainer/ops/reference.h"
#include "trainer/ops/cpu/onednn.h"
#include "trainer/ops/cpu/parallel.h"

namespace gpumonth::ops {
namespace {

using tests::doubles, tests::Doubles, tests::random_values, tests::relative_distance, tests::typed;

constexpr float kUntouched = 12345;  // exact in fp32; what lies between C's rows

struct Case {
  const char* name;
  MatmulShape shape;
};

std::int64_t extent(const Strides& s, std::int64_t batch, std::int64_t rows, std::int64_t columns) {
  return (batch - 1) * s.batch + (rows - 1) * s.row + (columns - 1) * s.column + 1;
}

Doubles naive(const MatmulShape& s, const Doubles& a, const Doubles& b, const std::vector<float>& bias, Doubles c) {
  for (std::int64_t i = 0; i < s.batch; ++i)
    for (std::int64_t m = 0; m < s.m; ++m)
      for (std::int64_t n = 0; n < s.n; ++n) {
        double sum = 0;
        for (std::int64_t k = 0; k < s.k; ++k)
          sum += a[i * s.a.batch + m * s.a.row + k * s.a.column] * b[i * s.b.batch + k * s.b.row + n * s.b.column];
        double& target = c[i * s.c.batch + m * s.c.row + n * s.c.column];
        target = s.alpha * sum + (s.bias ? bias[n] : 0) + (s.accumulate ? target : 0);
      }
  return c;
}

template <class In, class Out>
void check(MatmulShape s, int threads) {
  s.in = dtype_of<In>();
  s.out = dtype_of<Out>();
  const auto a = typed<In>(random_values(extent(s.a, s.batch, s.m, s.k), 1));
  const auto b_fp32 = random_values(extent(s.b, s.batch, s.k, s.n), 2);
  const auto b = typed<In>(b_fp32);
  const auto bias = random_values(s.n, 3);
  std::vector<float> start(extent(s.c, s.batch, s.m, s.n), kUntouched);
  const auto old = random_values(static_cast<std::int64_t>(start.size()), 4);
  for (std::int64_t i = 0; i < s.batch; ++i)
    for (std::int64_t m = 0; m < s.m; ++m)
      for (std::int64_t n = 0; n < s.n; ++n) {
        const std::int64_t at = i * s.c.batch + m * s.c.row + n * s.c.column;
        start[at] = old[at];
      }
  auto c = typed<Out>(start);
  const Doubles expected = naive(s, doubles(a), doubles(b), bias, doubles(c));

  Matmul matmul(s, threads);
  CHECK_FALSE(matmul.implementation().empty());
  std::vector<std::byte> packed;
  if (s.packed_b) {
    packed.resize(matmul.packed_b_bytes());
    matmul.pack(b_fp32.data(), packed.data());
  }
  matmul.run(a.data(), s.packed_b ? static_cast<const void*>(packed.data()) : b.data(), c.data(),
             s.bias ? bias.data() : nullptr);
  CHECK(relative_distance(doubles(c), expected) < tests::rounding<Out>());
  // Between the rows nothing may change, down to the bit.
  bool intact = true;
  for (std::size_t i = 0; i < c.size(); ++i)
    if (start[i] == kUntouched) intact &= to_float(c[i]) == to_float(from_float<Out>(kUntouched));
  CHECK(intact);
}

std::vector<Case> cases() {
  // (m, k) x (k, n); numbers that no vector width divides.
  const std::int64_t m = 37, n = 29, k = 53;
  const Strides a{0, k, 1}, b{0, n, 1}, c{0, n, 1};
  const std::int64_t heads = 3, d = 24, t = 19, h = heads * d;
  return {
      {"plain", {.m = m, .n = n, .k = k, .a = a, .b = b, .c = c}},
      {"one row", {.m = 1, .n = n, .k = k, .a = a, .b = b, .c = c}},
      {"one column, one product", {.m = m, .n = 1, .k = 1, .a = {0, 1, 1}, .b = {0, 1, 1}, .c = {0, 1, 1}}},
      {"A transposed", {.m = m, .n = n, .k = k, .a = {0, 1, m}, .b = b, .c = c}},
      {"B transposed", {.m = m, .n = n, .k = k, .a = a, .b = {0, 1, k}, .c = c}},
      {"rows with gaps", {.m = m, .n = n, .k = k, .a = {0, k + 5, 1}, .b = {0, n + 7, 1}, .c = {0, n + 3, 1}}},
      {"bias", {.m = m, .n = n, .k = k, .a = a, .b = b, .c = c, .bias = true}},
      {"packed", {.m = m, .n = n, .k = k, .a = a, .b = b, .c = c, .packed_b = true}},
      {"packed, transposed, bias",
       {.m = m, .n = n, .k = k, .a = a, .b = {0, 1, k}, .c = {0, n + 3, 1}, .packed_b = true, .bias = true}},
      {"accumulate", {.m = m, .n = n, .k = k, .a = a, .b = b, .c = c, .accumulate = true}},
      {"alpha", {.m = m, .n = n, .k = k, .a = a, .b = b, .c = c, .alpha = 0.125f}},
      {"alpha, accumulate", {.m = m, .n = n, .k = k, .a = a, .b = b, .c = c, .accumulate = true, .alpha = 0.125f}},
      {"heads of qkv: Q K^T",
       {.batch = heads, .m = t, .n = t, .k = d, .a = {d, 3 * h, 1}, .b = {d, 1, 3 * h}, .c = {t * t, t, 1}}},
      {"heads of qkv: P V",
       {.batch = heads, .m = t, .n = d, .k = t, .a = {t * t, t, 1}, .b = {d, 3 * h, 1}, .c = {d, h, 1}}},
  };
}

TEST_CASE("Matmul agrees with naive sums for every layout it is used with") {
  for (const Case& one : cases())
    for (const int threads : {1, 2}) {
      INFO(one.name << ", " << threads << " threads");
      check<float, float>(one.shape, threads);
      check<bf16, float>(one.shape, threads);
      if (!one.shape.accumulate) check<bf16, bf16>(one.shape, threads);
    }
}

TEST_CASE("a Matmul for more threads than OpenMP gives is refused") {
  const MatmulShape s{.m = 64, .n = 64, .k = 64, .a = {0, 64, 1}, .b = {0, 64, 1}, .c = {0, 64, 1}};
  const int levels = omp_get_max_active_levels();
  omp_set_max_active_levels(0);  // as OMP_MAX_ACTIVE_LEVELS and OMP_THREAD_LIMIT do: one thread for every region
  CHECK(machine::available_threads(3) == 1);
  CHECK_THROWS_WITH(Matmul(s, 3), tests::contains("OpenMP gives 1 of 3 threads"));
  omp_set_max_active_levels(levels);
  CHECK(machine::available_threads(3) == 3);
  CHECK_NOTHROW(Matmul(s, 3));
}

TEST_CASE("a Matmul runs again and again on other memory") {
  const MatmulShape s{.m = 5, .n = 3, .k = 2, .a = {0, 2, 1}, .b = {0, 3, 1}, .c = {0, 3, 1}};
  Matmul matmul(s, 1);
  for (unsigned seed = 0; seed < 3; ++seed) {
    const auto a = random_values(10, seed), b = random_values(6, seed + 10);
    std::vector<float> c(15);
    matmul.run(a.data(), b.data(), c.data());
    CHECK(relative_distance(c, naive(s, doubles(a), doubles(b), {}, Doubles(15))) < 1e-6);
  }
}

}  // namespace
}  // namespace gpumonth::ops
