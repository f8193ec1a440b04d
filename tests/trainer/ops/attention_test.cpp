// softmax(Q K^T / sqrt(d)) V and its gradient: naive double code, central differences, blocks of query rows.
#include "trainer/ops/attention.h"

#include "tests/catch.h"
#include "tests/trainer/ops/reference.h"

namespace gpumonth::ops {
namespace {

using tests::doubles, tests::Doubles, tests::random_values, tests::relative_distance, tests::typed;

struct Forward {
  Doubles out, log_sum_exp, probabilities;  // (B, T, H, d), (B, H, T), (B, H, T, T)
};

/// Where head `head` of token `row` begins in qkv; which: 0 Q, 1 K, 2 V.
std::int64_t at_qkv(const AttentionShape& s, std::int64_t b, std::int64_t row, int which, std::int64_t head) {
  return (((b * s.tokens + row) * 3 + which) * s.heads + head) * s.head_dim;
}
std::int64_t at_out(const AttentionShape& s, std::int64_t b, std::int64_t row, std::int64_t head) {
  return ((b * s.tokens + row) * s.heads + head) * s.head_dim;
}

template <class F>
void for_each_head(const AttentionShape& s, F&& f) {
  for (std::int64_t b = 0; b < s.batch; ++b)
    for (std::int64_t head = 0; head < s.heads; ++head) f(b, head);
}

double dot(const double* a, const double* b, std::int64_t n) {
  double sum = 0;
  for (std::int64_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

Forward naive_forward(const AttentionShape& s, const Doubles& qkv) {
  const std::int64_t t = s.tokens, d = s.head_dim;
  Forward f{Doubles(s.batch * t * s.heads * d), Doubles(s.batch * s.heads * t), Doubles(s.batch * s.heads * t * t)};
  for_each_head(s, [&](std::int64_t b, std::int64_t head) {
    for (std::int64_t i = 0; i < t; ++i) {
      double* p = &f.probabilities[((b * s.heads + head) * t + i) * t];
      double sum = 0;
      for (std::int64_t j = 0; j < t; ++j) {
        p[j] = std::exp(dot(&qkv[at_qkv(s, b, i, 0, head)], &qkv[at_qkv(s, b, j, 1, head)], d) /
                        std::sqrt(static_cast<double>(d)));
        sum += p[j];
      }
      f.log_sum_exp[(b * s.heads + head) * t + i] = std::log(sum);
      for (std::int64_t j = 0; j < t; ++j) {
        p[j] /= sum;
        for (std::int64_t c = 0; c < d; ++c)
          f.out[at_out(s, b, i, head) + c] += p[j] * qkv[at_qkv(s, b, j, 2, head) + c];
      }
    }
  });
  return f;
}

Doubles naive_backward(const AttentionShape& s, const Doubles& qkv, const Forward& f, const Doubles& dout) {
  const std::int64_t t = s.tokens, d = s.head_dim;
  const double scale = 1 / std::sqrt(static_cast<double>(d));
  Doubles dqkv(qkv.size());
  for_each_head(s, [&](std::int64_t b, std::int64_t head) {
    for (std::int64_t i = 0; i < t; ++i) {
      const double* go = &dout[at_out(s, b, i, head)];
      const double mean = dot(go, &f.out[at_out(s, b, i, head)], d);
      for (std::int64_t j = 0; j < t; ++j) {
        const double p = f.probabilities[((b * s.heads + head) * t + i) * t + j];
        const double ds = p * (dot(go, &qkv[at_qkv(s, b, j, 2, head)], d) - mean) * scale;
        for (std::int64_t c = 0; c < d; ++c) {
          dqkv[at_qkv(s, b, i, 0, head) + c] += ds * qkv[at_qkv(s, b, j, 1, head) + c];
          dqkv[at_qkv(s, b, j, 1, head) + c] += ds * qkv[at_qkv(s, b, i, 0, head) + c];
          dqkv[at_qkv(s, b, j, 2, head) + c] += p * go[c];
        }
      }
    }
  });
  return dqkv;
}

template <class T>
struct Run {
  std::vector<T> qkv, dout, out, dqkv;
  std::vector<float> log_sum_exp;
  Run(const AttentionShape& s, int threads)
      : qkv(typed<T>(random_values(s.batch * s.tokens * 3 * s.heads * s.head_dim, 1))),
        dout(typed<T>(random_values(static_cast<std::int64_t>(qkv.size()) / 3, 2))), out(dout.size()), dqkv(qkv.size()),
        log_sum_exp(s.batch * s.heads * s.tokens, NAN) {
    Cpu cpu{threads};
    Attention<Cpu, T> attention(cpu, s);
    attention.forward(qkv.data(), out.data(), log_sum_exp.data());
    attention.backward(qkv.data(), out.data(), log_sum_exp.data(), dout.data(), dqkv.data());
  }
};

template <class T>
void check(const AttentionShape& s, double tolerance) {
  INFO(s.batch << " x " << s.tokens << " tokens, " << s.heads << " heads of " << s.head_dim);
  const Run<T> run(s, 1), pair(s, 2);
  CHECK(tests::same_bits(run.out, pair.out));
  CHECK(tests::same_bits(run.dqkv, pair.dqkv));
  CHECK(tests::same_bits(run.log_sum_exp, pair.log_sum_exp));
  const Doubles qkv = doubles(run.qkv);
  const Forward f = naive_forward(s, qkv);
  CHECK(relative_distance(doubles(run.out), f.out) < tolerance);
  CHECK(relative_distance(run.log_sum_exp, f.log_sum_exp) < 2e-6);  // fp32 in both types
  CHECK(relative_distance(doubles(run.dqkv), naive_backward(s, qkv, f, doubles(run.dout))) < tolerance);
}

// One token; heads of 24, 72 and 100; tokens that no block divides; 300 to 1100 tokens come in several query blocks, 1100
// in tiles in fp32 too.
constexpr AttentionShape kShapes[] = {{2, 1, 3, 24},   {2, 7, 3, 24},    {1, 33, 2, 72},
                                      {3, 64, 4, 32},  {1, 97, 1, 100},  {1, 257, 2, 24},
                                      {1, 300, 2, 72}, {1, 1024, 2, 24}, {1, 1100, 1, 24}};

TEST_CASE("attention in fp32 agrees with naive double code, the same bits for 1 and 2 threads") {
  for (const AttentionShape& s : kShapes) check<float>(s, 3e-6);
}

TEST_CASE("attention in bf16 agrees with naive double code") {
  // The probabilities and their gradient are rounded to bf16 before they are multiplied.
  for (const AttentionShape& s : kShapes) check<bf16>(s, 1e-2);
}

TEST_CASE("attention's gradient is the central difference of naive attention") {
  for (const AttentionShape& s :
       {AttentionShape{2, 5, 2, 24}, AttentionShape{1, 3, 2, 72}, AttentionShape{2, 1, 2, 8}}) {
    const Run<float> run(s, 1);
    const Doubles dout = doubles(run.dout);
    const Doubles expected = tests::central_differences(
        doubles(run.qkv), [&](const Doubles& qkv) { return tests::dot(dout, naive_forward(s, qkv).out); });
    CHECK(relative_distance(run.dqkv, expected) < 3e-6);
    const Run<bf16> rounded(s, 1);
    CHECK(relative_distance(doubles(rounded.dqkv), expected) < 1e-2);
  }
}

TEST_CASE("attention's gradient over several tiles is the central difference along a random direction") {
  const AttentionShape s{1, 1024, 1, 24};
  const Run<float> run(s, 1);
  const Doubles dout = doubles(run.dout);
  const Doubles direction = doubles(random_values(static_cast<std::int64_t>(run.qkv.size()), 7));
  const double expected = tests::central_difference_along(
      doubles(run.qkv), direction, [&](const Doubles& qkv) { return tests::dot(dout, naive_forward(s, qkv).out); });
  CHECK(tests::dot(doubles(run.dqkv), direction) == Approx(expected).epsilon(1e-5));
}

TEST_CASE("scores far apart do not overflow") {
  for (const AttentionShape& s : {AttentionShape{1, 20, 1, 24}, AttentionShape{1, 600, 1, 24}}) {
    Cpu cpu{1};
    Attention<Cpu, float> attention(cpu, s);
    const auto qkv = random_values(s.tokens * 3 * s.head_dim, 1, 20);  // scores of some thousands
    std::vector<float> out(s.tokens * s.head_dim), log_sum_exp(s.tokens), dqkv(qkv.size());
    attention.forward(qkv.data(), out.data(), log_sum_exp.data());
    attention.backward(qkv.data(), out.data(), log_sum_exp.data(), out.data(), dqkv.data());
    for (const auto* values : {&out, &log_sum_exp, &dqkv})
      CHECK(std::all_of(values->begin(), values->end(), [](float v) { return std::isfinite(v); }));
  }
}

}  // namespace
}  // namespace gpumonth::ops
