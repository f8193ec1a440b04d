// y = x W^T + b and both backward products, for the shapes and layouts of the model.
#include "trainer/ops/linear.h"

#include "tests/catch.h"
#include "tests/trainer/ops/reference.h"
#include "trainer/ops/bf16.h"
#include "trainer/ops/column_sum.h"
#include "trainer/ops/gelu.h"

namespace gpumonth::ops {
namespace {

using tests::doubles, tests::Doubles, tests::random_values, tests::relative_distance, tests::typed;

struct Sizes {
  std::int64_t rows, in, out, gap;  // gap: elements between the end of a row of y and the next
};
// Rows that no block divides; width 96; heads of 24 and 72; one row; the conditioning's strided modulation.
// The input gradient of the last two is made by blocks of rows.
constexpr Sizes kSizes[] = {{37, 96, 288, 0}, {5, 24, 72, 0},    {1, 72, 24, 0},    {130, 96, 33, 0},
                            {3, 96, 48, 29},  {1024, 48, 24, 0}, {1536, 24, 40, 19}};

Doubles naive_forward(const Sizes& s, const Doubles& x, const Doubles& w, const Doubles& b) {
  Doubles y(s.rows * s.out);
  for (std::int64_t r = 0; r < s.rows; ++r)
    for (std::int64_t o = 0; o < s.out; ++o) {
      double sum = b[o];
      for (std::int64_t i = 0; i < s.in; ++i) sum += x[r * s.in + i] * w[o * s.in + i];
      y[r * s.out + o] = sum;
    }
  return y;
}

/// The columns of y without the gaps.
template <class T>
Doubles dense(const Sizes& s, const std::vector<T>& strided) {
  Doubles result;
  for (std::int64_t r = 0; r < s.rows; ++r)
    for (std::int64_t o = 0; o < s.out; ++o) result.push_back(double{to_float(strided[r * (s.out + s.gap) + o])});
  return result;
}

/// One Linear with everything it computes.
template <class T, class Y>
struct Run {
  std::vector<T> x, dy, dx;
  std::vector<float> w, bias;
  std::vector<Y> y;
  std::vector<float> dw, dbias;

  Run(const Sizes& s, bool packed, int threads)
      : x(typed<T>(random_values(s.rows * s.in, 1))), dy(typed<T>(random_values(s.rows * (s.out + s.gap), 2))),
        dx(s.rows * s.in), w(random_values(s.out * s.in, 3, 0.2f)), bias(random_values(s.out, 4)),
        y(s.rows * (s.out + s.gap)), dw(w.size(), NAN), dbias(s.out, NAN) {
    Cpu cpu{threads};
    Linear<Cpu, T, Y> linear(cpu,
                             {.rows = s.rows, .in = s.in, .out = s.out, .y_stride = s.out + s.gap, .packed = packed});
    std::vector<std::byte> memory(linear.packed_bytes() + 64);
    CHECK((linear.packed_bytes() > 0) == packed);
    CHECK(linear.packed_bytes() % 64 == 0);
    const std::vector<T> values = typed<T>(w);
    if (packed) linear.pack(values.data(), memory.data());
    const LinearWeights<T> weights{.packed = memory.data(), .master = w.data(), .bias = bias.data()};
    linear.forward(x.data(), weights, y.data());
    linear.backward_data(dy.data(), weights, dx.data());
    std::vector<float> scratch(column_sum_scratch(s.rows, s.out));
    linear.backward_weights_bias(dy.data(), x.data(), dw.data(), dbias.data(), scratch.data());
    std::vector<float> alone(dw.size(), NAN);
    linear.backward_weights(dy.data(), x.data(), alone.data());
    CHECK(tests::same_bits(alone, dw));
  }
};

template <class T, class Y>
void check(const Sizes& s, bool packed) {
  const Run<T, Y> run(s, packed, 2);
  const Doubles x = doubles(run.x), w = doubles(typed<T>(run.w)), b = doubles(run.bias), dy = dense(s, run.dy);
  CHECK(relative_distance(dense(s, run.y), naive_forward(s, x, w, b)) < tests::rounding<Y>());

  Doubles dx(x.size()), dw(w.size()), db(b.size());
  for (std::int64_t r = 0; r < s.rows; ++r)
    for (std::int64_t o = 0; o < s.out; ++o) {
      db[o] += dy[r * s.out + o];
      for (std::int64_t i = 0; i < s.in; ++i) {
        dx[r * s.in + i] += dy[r * s.out + o] * w[o * s.in + i];
        dw[o * s.in + i] += dy[r * s.out + o] * x[r * s.in + i];
      }
    }
  CHECK(relative_distance(doubles(run.dx), dx) < tests::rounding<T>());
  CHECK(relative_distance(run.dw, dw) < tests::rounding<float>());
  CHECK(relative_distance(run.dbias, db) < tests::rounding<float>());
}

TEST_CASE("Linear in fp32 agrees with naive sums") {
  for (const Sizes& s : kSizes)
    for (const bool packed : {true, false}) {
      INFO(s.rows << " x " << s.in << " -> " << s.out << (packed ? ", packed" : ""));
      check<float, float>(s, packed);
    }
}

TEST_CASE("Linear in bf16 agrees with naive sums of rounded inputs") {
  for (const Sizes& s : kSizes) {
    INFO(s.rows << " x " << s.in << " -> " << s.out);
    check<bf16, bf16>(s, true);
    check<bf16, float>(s, true);  // the patch embedding and the final layer give fp32
  }
}

TEST_CASE("Linear's gradients are the central differences of its forward") {
  const Sizes s{5, 24, 9, 4};
  const Run<float, float> run(s, true, 1);
  const Doubles x = doubles(run.x), w = doubles(run.w), b = doubles(run.bias), dy = dense(s, run.dy);
  const auto loss = [&](const Doubles& x1, const Doubles& w1, const Doubles& b1) {
    return tests::dot(dy, naive_forward(s, x1, w1, b1));
  };
  const auto of_x = tests::central_differences(x, [&](const Doubles& v) { return loss(v, w, b); });
  const auto of_w = tests::central_differences(w, [&](const Doubles& v) { return loss(x, v, b); });
  const auto of_b = tests::central_differences(b, [&](const Doubles& v) { return loss(x, w, v); });
  CHECK(relative_distance(run.dx, of_x) < 2e-6);
  CHECK(relative_distance(run.dw, of_w) < 2e-6);
  CHECK(relative_distance(run.dbias, of_b) < 2e-6);
}

/// fc1 and fc2 around a GELU, fused against one op after the other.
template <class T>
void check_gelu(std::int64_t rows, std::int64_t in, std::int64_t wide) {
  Cpu cpu{2};
  Linear<Cpu, T> up(cpu, {.rows = rows, .in = in, .out = wide}), down(cpu, {.rows = rows, .in = wide, .out = in});
  const auto x = typed<T>(random_values(rows * in, 1)), dy = typed<T>(random_values(rows * in, 2));
  const auto w1 = random_values(wide * in, 3, 0.2f), w2 = random_values(wide * in, 4, 0.2f), b = random_values(wide, 5);
  std::vector<std::byte> packed1(up.packed_bytes()), packed2(down.packed_bytes());
  up.pack(typed<T>(w1).data(), packed1.data());
  down.pack(typed<T>(w2).data(), packed2.data());
  const LinearWeights<T> first{.packed = packed1.data(), .master = w1.data(), .bias = b.data()};
  const LinearWeights<T> second{.packed = packed2.data(), .master = w2.data(), .bias = b.data()};

  std::vector<T> u(rows * wide), y(rows * wide), u2(rows * wide), y2(rows * wide);
  up.forward_gelu(x.data(), first, u.data(), y.data());
  up.forward(x.data(), first, u2.data());
  gelu_forward(cpu, rows * wide, u2.data(), y2.data());
  CHECK(doubles(u) == doubles(u2));
  CHECK(doubles(y) == doubles(y2));

  std::vector<T> du(rows * wide), du2(rows * wide);
  std::vector<float> db(wide), db2(wide), scratch(column_sum_scratch(rows, wide));
  down.backward_data_gelu(dy.data(), second, u.data(), du.data(), db.data(), scratch.data());
  down.backward_data(dy.data(), second, du2.data());
  gelu_backward(cpu, rows, wide, u.data(), du2.data(), db2.data(), scratch.data());
  CHECK(doubles(du) == doubles(du2));
  CHECK(tests::same_bits(db, db2));
}

TEST_CASE("Linear with GELU is Linear, then GELU") {
  check_gelu<float>(37, 24, 96);
  check_gelu<float>(1024, 24, 96);  // by blocks of rows
  check_gelu<bf16>(37, 24, 96);
}

TEST_CASE("column_sum gives the same bits whatever the thread count") {
  const std::int64_t rows = 301, columns = 37, stride = 40;
  const auto dy = random_values(rows * stride, 5);
  std::vector<float> one(columns), two(columns), scratch(column_sum_scratch(rows, columns));
  Cpu alone{1}, pair{2};
  column_sum(alone, rows, columns, stride, dy.data(), one.data(), scratch.data());
  column_sum(pair, rows, columns, stride, dy.data(), two.data(), scratch.data());
  CHECK(tests::same_bits(one, two));
}

TEST_CASE("Linear repeats itself bit for bit, and another thread count changes only the rounding") {
  const auto s = GENERATE(Sizes{37, 96, 288, 0}, Sizes{1024, 24, 48, 0});  // whole, by blocks of rows
  const Run<float, float> first(s, true, 2), second(s, true, 2), alone(s, true, 1);
  CHECK(tests::same_bits(first.y, second.y));
  CHECK(tests::same_bits(first.dx, second.dx));
  CHECK(tests::same_bits(first.dw, second.dw));
  CHECK(relative_distance(alone.y, first.y) < 1e-6);
  CHECK(relative_distance(alone.dx, first.dx) < 1e-6);
  CHECK(relative_distance(alone.dw, first.dw) < 1e-6);
}

}  // namespace
}  // namespace gpumonth::ops
