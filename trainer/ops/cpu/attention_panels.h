// Attention in fp32 by the products of fp32_tile.h, where a block of query rows' scores over all tokens stays in the L2
// cache. One thread, one head at a time.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "trainer/ops/attention.h"
#include "trainer/ops/cpu/dense_heads.h"
#include "trainer/ops/cpu/fp32_tile.h"
#include "trainer/ops/cpu/softmax_rows.h"
#include "trainer/ops/cpu/transposed_panels.h"

namespace gpumonth::ops {

class PanelHead {
 public:
  static bool takes(const AttentionShape& a) { return kHasFp32Tile && a.tokens <= kMostTokens; }

  explicit PanelHead(const AttentionShape& a)
      : t_(a.tokens), d_(a.head_dim), h_(a.heads * d_), tokens_(round_up(t_)), row_(round_up(d_)),
        score_row_(tokens_ + kLanes), scale_(1.0f / std::sqrt(static_cast<float>(d_))), s_(kBlock * score_row_),
        sum_(kBlock * row_), k_transposed_(tokens_ * row_), inverse_(kBlock), dense_(a, 1, tokens_, row_) {
    if (!a.backward) return;
    p_.resize(kBlock * score_row_);
    v_transposed_.resize(tokens_ * row_);
    dk_.resize(t_ * row_);
    dv_.resize(t_ * row_);
  }

  /// How far on in qkv, and in out, the head lies that comes next here; 0, 0: none. Its rows are fetched into the L2 cache
  /// while this one's products run: rows of 256 bytes far apart are nothing that a processor fetches ahead by itself.
  void expect(std::int64_t in_qkv, std::int64_t in_out) {
    next_qkv_ = in_qkv;
    next_out_ = in_out;
  }

  /// Pointers to the head's first column: qkv (tokens, 3 heads d), out (tokens, heads d), lse (tokens).
  void forward(const float* qkv, float* out, float* lse) {
    dense_.gather_qkv(qkv);
    transposed_panels(tokens_, row_, dense_.k.data(), row_, k_transposed_.data());
    for (std::int64_t begin = 0; begin < t_; begin += kBlock) {
      const std::int64_t rows = std::min(kBlock, t_ - begin);
      outer(rows, dense_.q.data() + begin * row_, k_transposed_.data(), s_.data());
      for (std::int64_t r = 0; r < rows; ++r) {
        if (next_qkv_) fetch_qkv<false>(qkv + next_qkv_ + (begin + r) * 3 * h_);
        fetch<true>(out + (begin + r) * h_);
        SoftmaxRow row;
        float* scores = s_.data() + r * score_row_;
        row.add(t_, scale_, scores, scores);
        inverse_[r] = 1.0f / row.sum;
        lse[begin + r] = row.log_sum_exp(scale_);
      }
      inner(rows, s_.data(), dense_.v.data(), sum_.data());
      for (std::int64_t r = 0; r < rows; ++r)
        store_row(d_, sum_.data() + r * row_, inverse_[r], out + (begin + r) * h_);
    }
  }

  /// The same, and dout (tokens, heads d), dqkv (tokens, 3 heads d).
  void backward(const float* qkv, const float* out, const float* lse, const float* dout, float* dqkv) {
    dense_.gather_qkv(qkv);
    dense_.gather_d_out(dout);
    transposed_panels(tokens_, row_, dense_.k.data(), row_, k_transposed_.data());
    transposed_panels(tokens_, row_, dense_.v.data(), row_, v_transposed_.data());
    for (std::int64_t begin = 0; begin < t_; begin += kBlock) {
      const std::int64_t rows = std::min(kBlock, t_ - begin);
      const float *q = dense_.q.data() + begin * row_, *d_out = dense_.d_out.data() + begin * row_;
      outer(rows, q, k_transposed_.data(), p_.data());
      for (std::int64_t r = 0; r < rows; ++r) {
        if (next_qkv_) fetch_qkv<false>(qkv + next_qkv_ + (begin + r) * 3 * h_);
        probability_row(t_, scale_, lse[begin + r], p_.data() + r * score_row_, p_.data() + r * score_row_);
      }
      transposed(rows, p_.data(), d_out, dv_.data(), begin > 0);
      outer(rows, d_out, v_transposed_.data(), s_.data());
      for (std::int64_t r = 0; r < rows; ++r) {
        if (next_qkv_) {
          fetch<false>(out + next_out_ + (begin + r) * h_);
          fetch<false>(dout + next_out_ + (begin + r) * h_);
        }
        fetch_qkv<true>(dqkv + (begin + r) * 3 * h_);
        const float dot = row_dot(d_, out + (begin + r) * h_, d_out + r * row_);
        score_gradient_row(t_, scale_, dot, s_.data() + r * score_row_, p_.data() + r * score_row_);
      }
      inner(rows, p_.data(), dense_.k.data(), sum_.data());
      for (std::int64_t r = 0; r < rows; ++r) store_row(d_, sum_.data() + r * row_, 1.0f, dqkv + (begin + r) * 3 * h_);
      transposed(rows, p_.data(), q, dk_.data(), begin > 0);
    }
    for (std::int64_t r = 0; r < t_; ++r) {
      store_row(d_, dk_.data() + r * row_, 1.0f, dqkv + r * 3 * h_ + h_);
      store_row(d_, dv_.data() + r * row_, 1.0f, dqkv + r * 3 * h_ + 2 * h_);
    }
  }

 private:
  static constexpr std::int64_t kMostTokens = 1024;  // of scores 192 KiB a block, of P as much
  static constexpr std::int64_t kBlock = 48;         // query rows at once
  static constexpr std::int64_t kDepth = 64;         // rows of B at once: 16 KiB stay in the L1 cache

  static std::int64_t round_up(std::int64_t n) { return (n + kLanes - 1) / kLanes * kLanes; }

  template <bool kToWrite>
  void fetch(const float* row) const {
    for (std::int64_t i = 0; i < d_; i += kLanes) __builtin_prefetch(row + i, kToWrite, 2);
  }
  template <bool kToWrite>
  void fetch_qkv(const float* row) const {
    for (int i = 0; i < 3; ++i) fetch<kToWrite>(row + i * h_);
  }

  /// Scores, or the gradient of probabilities: (rows, d) times panels of (tokens, d)^T.
  void outer(std::int64_t rows, const float* a, const float* panels, float* to) const {
    for (std::int64_t at = 0; at < tokens_;) {
      const std::int64_t vectors = panel_vectors((tokens_ - at) / kLanes), width = vectors * kLanes;
      fp32_panel(rows, vectors, d_, {a, row_, 1}, panels, width, to + at, score_row_, false);
      panels += width * row_;
      at += width;
    }
  }

  /// Out or dQ: (rows, tokens) (tokens, d).
  void inner(std::int64_t rows, const float* a, const float* b, float* to) const {
    for (std::int64_t at = 0; at < row_;) {
      const std::int64_t vectors = panel_vectors((row_ - at) / kLanes);
      for (std::int64_t k = 0; k < t_; k += kDepth)
        fp32_panel(rows, vectors, std::min(kDepth, t_ - k), {a + k, score_row_, 1}, b + k * row_ + at, row_, to + at,
                   row_, k > 0);
      at += vectors * kLanes;
    }
  }

  /// Part of dK or dV: (rows, tokens)^T (rows, d).
  void transposed(std::int64_t rows, const float* a, const float* b, float* to, bool add) const {
    for (std::int64_t at = 0; at < row_;) {
      const std::int64_t vectors = panel_vectors((row_ - at) / kLanes);
      fp32_panel(t_, vectors, rows, {a, 1, score_row_}, b + at, row_, to + at, row_, add);
      at += vectors * kLanes;
    }
  }

  std::int64_t t_, d_, h_, tokens_, row_;  // tokens and d, and both rounded up to whole vectors
  std::int64_t score_row_;                 // of a row of scores: no power of two, whose lines would share cache sets
  std::int64_t next_qkv_ = 0, next_out_ = 0;
  float scale_;
  LineVector<float> s_;    // (block, tokens) scores or probabilities, the gradient of the probabilities
  LineVector<float> p_;    // (block, tokens) probabilities, then gradient of the scores
  LineVector<float> sum_;  // (block, d) out or dQ
  LineVector<float> k_transposed_, v_transposed_;
  LineVector<float> dk_, dv_;   // (tokens, d)
  std::vector<float> inverse_;  // (block) of the sums of probabilities
  DenseHeads<float> dense_;
};

}  // namespace gpumonth::ops
