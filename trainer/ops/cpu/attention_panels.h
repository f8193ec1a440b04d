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
        scale_(1.0f / std::sqrt(static_cast<float>(d_))), s_(kBlock * tokens_), sum_(kBlock * row_),
        k_transposed_(tokens_ * row_), inverse_(kBlock), dense_(a, 1, tokens_, row_) {
    if (!a.backward) return;
    p_.resize(kBlock * tokens_);
    v_transposed_.resize(tokens_ * row_);
    dk_.resize(t_ * row_);
    dv_.resize(t_ * row_);
  }

  /// Pointers to the head's first column: qkv (tokens, 3 heads d), out (tokens, heads d), lse (tokens).
  void forward(const float* qkv, float* out, float* lse) {
    dense_.gather_qkv(qkv);
    transposed_panels(tokens_, row_, dense_.k.data(), row_, k_transposed_.data());
    for (std::int64_t begin = 0; begin < t_; begin += kBlock) {
      const std::int64_t rows = std::min(kBlock, t_ - begin);
      outer(rows, dense_.q.data() + begin * row_, k_transposed_.data(), s_.data());
      for (std::int64_t r = 0; r < rows; ++r) {
        SoftmaxRow row;
        float* scores = s_.data() + r * tokens_;
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
      for (std::int64_t r = 0; r < rows; ++r)
        probability_row(t_, scale_, lse[begin + r], p_.data() + r * tokens_, p_.data() + r * tokens_);
      transposed(rows, p_.data(), d_out, dv_.data(), begin > 0);
      outer(rows, d_out, v_transposed_.data(), s_.data());
      for (std::int64_t r = 0; r < rows; ++r) {
        const float dot = row_dot(d_, out + (begin + r) * h_, d_out + r * row_);
        score_gradient_row(t_, scale_, dot, s_.data() + r * tokens_, p_.data() + r * tokens_);
      }
      inner(rows, p_.data(), dense_.k.data(), sum_.data());
      for (std::int64_t r = 0; r < rows; ++r)
        store_row(d_, sum_.data() + r * row_, 1.0f, dqkv + (begin + r) * 3 * h_);
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

  /// Scores, or the gradient of probabilities: (rows, d) times panels of (tokens, d)^T.
  void outer(std::int64_t rows, const float* a, const float* panels, float* to) const {
    for (std::int64_t at = 0; at < tokens_;) {
      const std::int64_t vectors = panel_vectors((tokens_ - at) / kLanes), width = vectors * kLanes;
      fp32_panel(rows, vectors, d_, {a, row_, 1}, panels, width, to + at, tokens_, false);
      panels += width * row_;
      at += width;
    }
  }

  /// Out or dQ: (rows, tokens) (tokens, d).
  void inner(std::int64_t rows, const float* a, const float* b, float* to) const {
    for (std::int64_t at = 0; at < row_;) {
      const std::int64_t vectors = panel_vectors((row_ - at) / kLanes);
      for (std::int64_t k = 0; k < t_; k += kDepth)
        fp32_panel(rows, vectors, std::min(kDepth, t_ - k), {a + k, tokens_, 1}, b + k * row_ + at, row_, to + at, row_,
                   k > 0);
      at += vectors * kLanes;
    }
  }

  /// Part of dK or dV: (rows, tokens)^T (rows, d).
  void transposed(std::int64_t rows, const float* a, const float* b, float* to, bool add) const {
    for (std::int64_t at = 0; at < row_;) {
      const std::int64_t vectors = panel_vectors((row_ - at) / kLanes);
      fp32_panel(t_, vectors, rows, {a, 1, tokens_}, b + at, row_, to + at, row_, add);
      at += vectors * kLanes;
    }
  }

  std::int64_t t_, d_, h_, tokens_, row_;  // tokens and d, and both rounded up to whole vectors
  float scale_;
  LineVector<float> s_;               // (block, tokens) scores or probabilities, the gradient of the probabilities
  LineVector<float> p_;               // (block, tokens) probabilities, then gradient of the scores
  LineVector<float> sum_;             // (block, d) out or dQ
  LineVector<float> k_transposed_, v_transposed_;
  LineVector<float> dk_, dv_;         // (tokens, d)
  std::vector<float> inverse_;        // (block) of the sums of probabilities
  DenseHeads<float> dense_;
};

}  // namespace gpumonth::ops
