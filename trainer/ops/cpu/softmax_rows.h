// Attention's work on rows of scores, between its products. `scale` is 1 / sqrt(d); n columns.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "trainer/ops/cpu/convert.h"
#include "trainer/ops/math.h"

namespace gpumonth::ops {

/// A softmax over columns that come in several parts.
struct SoftmaxRow {
  float highest = -INFINITY;  ///< score
  float sum = 0;              ///< of exp(scale (score - highest))

  /// Further scores: p = exp(scale (score - highest)) with the new highest. Returns what sums over p so far are to be
  /// multiplied by. `scores` is used up.
  template <class T>
  float add(std::int64_t n, float scale, float* scores, T* p) {
    float highest_now = highest;
#pragma omp simd reduction(max : highest_now)
    for (std::int64_t i = 0; i < n; ++i) highest_now = scores[i] > highest_now ? scores[i] : highest_now;
    const float scale2 = scale * kLog2E, offset2 = highest_now * scale2;  // exponents of 2
    const float kept = highest_now == highest ? 1.0f : std::exp2((highest - highest_now) * scale2);
    float sum_now = 0;
    float* target = row_target(p, scores);
#pragma omp simd reduction(+ : sum_now)
    for (std::int64_t i = 0; i < n; ++i) {
      target[i] = fast_exp2(scores[i] * scale2 - offset2);
      sum_now += target[i];
    }
    write_row(n, target, p);
    highest = highest_now;
    sum = sum * kept + sum_now;
    return kept;
  }

  float log_sum_exp(float scale) const { return highest * scale + std::log(sum); }
};

/// Softmax of all columns at once, to probabilities of type T. Returns the log-sum-exp. `scores` is used up.
template <class T>
float softmax_row(std::int64_t n, float scale, float* scores, T* p) {
  float highest = -INFINITY;
#pragma omp simd reduction(max : highest)
  for (std::int64_t i = 0; i < n; ++i) highest = scores[i] > highest ? scores[i] : highest;
  const float scale2 = scale * kLog2E, offset2 = highest * scale2;  // exponents of 2
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < n; ++i) {
    scores[i] = fast_exp2(scores[i] * scale2 - offset2);
    sum += scores[i];
  }
  const float inverse = 1.0f / sum;
  float* target = row_target(p, scores);
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) target[i] = scores[i] * inverse;
  write_row(n, target, p);
  return highest * scale + std::log(sum);
}

/// Probabilities anew from scores and their row's log-sum-exp. `scores` is used up.
template <class T>
void probability_row(std::int64_t n, float scale, float log_sum_exp, float* scores, T* p) {
  const float scale2 = scale * kLog2E, offset2 = log_sum_exp * kLog2E;
  float* target = row_target(p, scores);
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) target[i] = fast_exp2(scores[i] * scale2 - offset2);
  write_row(n, target, p);
}

template <class T>
float row_dot(std::int64_t n, const T* a, const T* b) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < n; ++i) sum += to_float(a[i]) * to_float(b[i]);
  return sum;
}

/// dS = P (dP - sum_j dO_j O_j) / sqrt(d), in place of P; `dp` is used up.
template <class T>
void score_gradient_row(std::int64_t n, float scale, float dot, float* dp, T* p) {
  alignas(64) float buffer[kFloatBlock];
  for (std::int64_t begin = 0; begin < n; begin += kFloatBlock) {
    const std::int64_t count = std::min(kFloatBlock, n - begin);
    const float* in = read_row(count, p + begin, buffer);
    float* target = row_target(p + begin, dp + begin);
#pragma omp simd
    for (std::int64_t i = 0; i < count; ++i) target[i] = in[i] * (dp[begin + i] - dot) * scale;
    write_row(count, target, p + begin);
  }
}

/// target = factor * row, as T.
template <class T>
void store_row(std::int64_t n, const float* row, float factor, T* target) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) target[i] = from_float<T>(row[i] * factor);
}

}  // namespace gpumonth::ops
