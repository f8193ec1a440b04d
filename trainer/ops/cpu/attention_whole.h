// Attention over so few tokens that the scores of a head, or of several, are one block. One thread, one group of heads at a
// time.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "trainer/ops/attention.h"
#include "trainer/ops/cpu/dense_heads.h"
#include "trainer/ops/cpu/onednn.h"
#include "trainer/ops/cpu/softmax_rows.h"

namespace gpumonth::ops {

template <class T>
class WholeHeads {
 public:
  WholeHeads(const AttentionShape& a, std::int64_t heads)
      : t_(a.tokens), d_(a.head_dim), h_(a.heads * d_), heads_(heads), scale_(1.0f / std::sqrt(static_cast<float>(d_))),
        outer_(outer()), values_(inner({d_, h_, 1})), dq_(inner({d_, 3 * h_, 1})), transposed_(transposed()),
        s_(heads * t_ * t_), p_(s_.size()), dense_(a, heads) {}

  /// Pointers to the group's first column: qkv (tokens, 3 heads d), out (tokens, heads d), lse (group, tokens).
  void forward(const T* qkv, T* out, float* lse) {
    dense_.gather_qkv(qkv);
    outer_.run(dense_.q.data(), dense_.k.data(), s_.data());
    for (std::int64_t r = 0; r < heads_ * t_; ++r)
      lse[r] = softmax_row(t_, scale_, s_.data() + r * t_, p_.data() + r * t_);
    values_.run(p_.data(), dense_.v.data(), out);
  }

  /// The same, and dout (tokens, heads d), dqkv (tokens, 3 heads d).
  void backward(const T* qkv, const T* out, const float* lse, const T* dout, T* dqkv) {
    dense_.gather_qkv(qkv);
    dense_.gather_d_out(dout);
    outer_.run(dense_.q.data(), dense_.k.data(), s_.data());
    for (std::int64_t r = 0; r < heads_ * t_; ++r)
      probability_row(t_, scale_, lse[r], s_.data() + r * t_, p_.data() + r * t_);
    transposed_.run(p_.data(), dense_.d_out.data(), dqkv + 2 * h_);
    outer_.run(dense_.d_out.data(), dense_.v.data(), s_.data());
    for (std::int64_t g = 0; g < heads_; ++g)
      for (std::int64_t r = 0; r < t_; ++r) {
        const std::int64_t row = g * t_ + r;
        const float dot = row_dot(d_, out + r * h_ + g * d_, dense_.d_out.data() + row * d_);
        score_gradient_row(t_, scale_, dot, s_.data() + row * t_, p_.data() + row * t_);
      }
    dq_.run(p_.data(), dense_.k.data(), dqkv);
    transposed_.run(p_.data(), dense_.q.data(), dqkv + h_);
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
                   .a = rows(),
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
                   .b = rows(),
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
                   .b = rows(),
                   .c = {d_, 3 * h_, 1}},
                  1);
  }
  Strides rows() const { return {t_ * d_, d_, 1}; }

  std::int64_t t_, d_, h_, heads_;
  float scale_;
  Matmul outer_, values_, dq_, transposed_;
  std::vector<float> s_;  // (group, T, T) scores, then gradient of the probabilities
  std::vector<T> p_;      // (group, T, T) probabilities, then gradient of the scores
  DenseHeads<T> dense_;
};

}  // namespace gpumonth::ops
