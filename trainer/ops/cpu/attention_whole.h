// Attention over so few tokens that the scores of a head, or of several, are one block. One thread, one group of heads at a
// time.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "trainer/ops/attention.h"
#include "trainer/ops/cpu/onednn.h"
#include "trainer/ops/cpu/softmax_rows.h"

namespace gpumonth::ops {

template <class T>
class WholeHeads {
 public:
  WholeHeads(const AttentionShape& a, std::int64_t heads)
      : t_(a.tokens), d_(a.head_dim), h_(a.heads * d_), heads_(heads), scale_(1.0f / std::sqrt(static_cast<float>(d_))),
        outer_(outer()), values_(inner({d_, h_, 1})), dq_(inner({d_, 3 * h_, 1})), transposed_(transposed()),
        s_(heads * t_ * t_), p_(s_.size()), q_(heads * t_ * d_), k_(q_.size()), v_(q_.size()),
        d_out_(a.backward ? q_.size() : 0) {}

  /// Pointers to the group's first column: qkv (tokens, 3 heads d), out (tokens, heads d), lse (group, tokens).
  void forward(const T* qkv, T* out, float* lse) {
    gather_qkv(qkv);
    outer_.run(q_.data(), k_.data(), s_.data());
    for (std::int64_t r = 0; r < heads_ * t_; ++r)
      lse[r] = softmax_row(t_, scale_, s_.data() + r * t_, p_.data() + r * t_);
    values_.run(p_.data(), v_.data(), out);
  }

  /// The same, and dout (tokens, heads d), dqkv (tokens, 3 heads d).
  void backward(const T* qkv, const T* out, const float* lse, const T* dout, T* dqkv) {
    gather_qkv(qkv);
    gather(dout, h_, d_out_);
    outer_.run(q_.data(), k_.data(), s_.data());
    for (std::int64_t r = 0; r < heads_ * t_; ++r)
      probability_row(t_, scale_, lse[r], s_.data() + r * t_, p_.data() + r * t_);
    transposed_.run(p_.data(), d_out_.data(), dqkv + 2 * h_);
    outer_.run(d_out_.data(), v_.data(), s_.data());
    for (std::int64_t g = 0; g < heads_; ++g)
      for (std::int64_t r = 0; r < t_; ++r) {
        const std::int64_t row = g * t_ + r;
        const float dot = row_dot(d_, out + r * h_ + g * d_, d_out_.data() + row * d_);
        score_gradient_row(t_, scale_, dot, s_.data() + row * t_, p_.data() + row * t_);
      }
    dq_.run(p_.data(), k_.data(), dqkv);
    transposed_.run(p_.data(), q_.data(), dqkv + h_);
  }

 private:
  /// Of each head: outer (T, d)(T, d)^T, scores and the gradient of probabilities; inner (T, T)(T, d), out or dQ; transposed
  /// (T, T)^T (T, d), dK or dV.
  Matmul outer() const {
    return Matmul({.batch = heads_,
                   .m = t_,
                   .n = t_,
                   .k = d_,
                   .in = dtype_of<T>(),
                   .a = dense(),
                   .b = {t_ * d_, 1, d_},
                   .c = {t_ * t_, t_, 1}},
                  1);
  }
  Matmul inner(Strides to) const {
    return Matmul({.batch = heads_,
                   .m = t_,
                   .n = d_,
                   .k = t_,
                   .in = dtype_of<T>(),
                   .out = dtype_of<T>(),
                   .a = {t_ * t_, t_, 1},
                   .b = dense(),
                   .c = to},
                  1);
  }
  Matmul transposed() const {
    return Matmul({.batch = heads_,
                   .m = t_,
                   .n = d_,
                   .k = t_,
                   .in = dtype_of<T>(),
                   .out = dtype_of<T>(),
                   .a = {t_ * t_, 1, t_},
                   .b = dense(),
                   .c = {d_, 3 * h_, 1}},
                  1);
  }
  Strides dense() const { return {t_ * d_, d_, 1}; }

  /// Dense (group, tokens, d) from rows `stride` elements apart.
  void gather(const T* from, std::int64_t stride, std::vector<T>& to) const {
    for (std::int64_t g = 0; g < heads_; ++g)
      for (std::int64_t r = 0; r < t_; ++r) std::copy_n(from + r * stride + g * d_, d_, to.data() + (g * t_ + r) * d_);
  }
  void gather_qkv(const T* qkv) {
    gather(qkv, 3 * h_, q_);
    gather(qkv + h_, 3 * h_, k_);
    gather(qkv + 2 * h_, 3 * h_, v_);
  }

  std::int64_t t_, d_, h_, heads_;
  float scale_;
  Matmul outer_, values_, dq_, transposed_;
  std::vector<float> s_;              // (group, T, T) scores, then gradient of the probabilities
  std::vector<T> p_;                  // (group, T, T) probabilities, then gradient of the scores
  std::vector<T> q_, k_, v_, d_out_;  // (group, T, d) dense: oneDNN's fast kernels want them so
};

}  // namespace gpumonth::ops
