// Attention over more tokens than one score block holds: tiles of scores that stay in the L2 cache, whatever the length, so
// that the time for each pair of tokens is the same at any length. Forward keeps each row's maximum and sum while it goes
// over the columns (online softmax: Milakov & Gimelshein, arXiv 1805.02867), backward makes the probabilities anew from the
// log-sum-exp (Dao et al., arXiv 2205.14135). One thread, one head at a time.
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
class TiledHead {
 public:
  /// Tiles of at most `longest` by `longest`, all of one size but the last of a row or column.
  TiledHead(const AttentionShape& a, std::int64_t longest)
      : t_(a.tokens), d_(a.head_dim), h_(a.heads * d_), edge_(even_edge(t_, longest)),
        scale_(1.0f / std::sqrt(static_cast<float>(d_))), s_(edge_ * edge_), p_(edge_ * edge_), dense_(a, 1),
        sum_(t_ * d_), rows_(t_) {
    const std::int64_t sizes[] = {edge_, (t_ - 1) % edge_ + 1};
    for (const std::int64_t r : sizes)
      for (const std::int64_t c : sizes) products_.push_back(products(r, c));
    if (!a.backward) return;
    dots_.resize(t_);
    dk_.resize(edge_ * d_);
    dv_.resize(edge_ * d_);
  }

  /// Pointers to the head's first column: qkv (tokens, 3 heads d), out (tokens, heads d), lse (tokens).
  void forward(const T* qkv, T* out, float* lse) {
    dense_.gather_qkv(qkv);
    std::fill(rows_.begin(), rows_.end(), SoftmaxRow{});
    std::fill(sum_.begin(), sum_.end(), 0.0f);
    for (std::int64_t row = 0; row < t_; row += edge_) {
      for (std::int64_t column = 0; column < t_; column += edge_) {
        Products& products = at(row, column);
        products.outer.run(dense_.q.data() + row * d_, dense_.k.data() + column * d_, s_.data());
        for (std::int64_t r = 0; r < size(row); ++r) {
          const float kept = rows_[row + r].add(size(column), scale_, s_.data() + r * edge_, p_.data() + r * edge_);
          float* sum = sum_.data() + (row + r) * d_;
          if (kept != 1.0f)
            for (std::int64_t i = 0; i < d_; ++i) sum[i] *= kept;
        }
        products.inner.run(p_.data(), dense_.v.data() + column * d_, sum_.data() + row * d_);
      }
    }
    for (std::int64_t r = 0; r < t_; ++r) {
      store_row(d_, sum_.data() + r * d_, 1.0f / rows_[r].sum, out + r * h_);
      lse[r] = rows_[r].log_sum_exp(scale_);
    }
  }

  /// The same, and dout (tokens, heads d), dqkv (tokens, 3 heads d).
  void backward(const T* qkv, const T* out, const float* lse, const T* dout, T* dqkv) {
    dense_.gather_qkv(qkv);
    dense_.gather_d_out(dout);
    for (std::int64_t r = 0; r < t_; ++r) dots_[r] = row_dot(d_, out + r * h_, dense_.d_out.data() + r * d_);
    std::fill(sum_.begin(), sum_.end(), 0.0f);
    for (std::int64_t column = 0; column < t_; column += edge_) {
      std::fill(dk_.begin(), dk_.end(), 0.0f);
      std::fill(dv_.begin(), dv_.end(), 0.0f);
      for (std::int64_t row = 0; row < t_; row += edge_) backward_tile(row, column, lse);
      for (std::int64_t r = 0; r < size(column); ++r) {
        T* target = dqkv + (column + r) * 3 * h_;
        store_row(d_, dk_.data() + r * d_, 1.0f, target + h_);
        store_row(d_, dv_.data() + r * d_, 1.0f, target + 2 * h_);
      }
    }
    for (std::int64_t r = 0; r < t_; ++r) store_row(d_, sum_.data() + r * d_, 1.0f, dqkv + r * 3 * h_);
  }

 private:
  /// Of a tile (r, c): outer (r, d)(c, d)^T are scores and the gradient of probabilities; inner, (r, c)(c, d), adds to out or
  /// dQ; transposed, (r, c)^T (r, d), adds to dK or dV.
  struct Products {
    Matmul outer, inner, transposed;
  };
  Products products(std::int64_t r, std::int64_t c) const {
    const Dtype type = dtype_of<T>();
    const Strides dense{0, d_, 1}, tile{0, edge_, 1};
    MatmulShape outer{.m = r, .n = c, .k = d_, .in = type, .a = dense, .b = {0, 1, d_}, .c = tile};
    MatmulShape inner{.m = r, .n = d_, .k = c, .in = type, .a = tile, .b = dense, .c = dense, .accumulate = true};
    MatmulShape transposed{
        .m = c, .n = d_, .k = r, .in = type, .a = {0, 1, edge_}, .b = dense, .c = dense, .accumulate = true};
    return {Matmul(outer, 1), Matmul(inner, 1), Matmul(transposed, 1)};
  }

  /// As few tiles as there can be, all but the last of one size, which is a multiple of a vector's 16 values.
  static std::int64_t even_edge(std::int64_t tokens, std::int64_t longest) {
    const std::int64_t count = (tokens + longest - 1) / longest;
    return std::min(longest, ((tokens + count - 1) / count + 15) / 16 * 16);
  }

  std::int64_t size(std::int64_t begin) const { return std::min(edge_, t_ - begin); }
  Products& at(std::int64_t row, std::int64_t column) {
    return products_[(row + edge_ >= t_ ? 2 : 0) + (column + edge_ >= t_ ? 1 : 0)];
  }

  /// Adds the tile's part to dK, dV and, in sum_, to dQ.
  void backward_tile(std::int64_t row, std::int64_t column, const float* lse) {
    Products& products = at(row, column);
    const T *q = dense_.q.data() + row * d_, *k = dense_.k.data() + column * d_,
            *d_out = dense_.d_out.data() + row * d_;
    products.outer.run(q, k, s_.data());
    for (std::int64_t r = 0; r < size(row); ++r)
      probability_row(size(column), scale_, lse[row + r], s_.data() + r * edge_, p_.data() + r * edge_);
    products.transposed.run(p_.data(), d_out, dv_.data());
    products.outer.run(d_out, dense_.v.data() + column * d_, s_.data());
    for (std::int64_t r = 0; r < size(row); ++r)
      score_gradient_row(size(column), scale_, dots_[row + r], s_.data() + r * edge_, p_.data() + r * edge_);
    products.inner.run(p_.data(), k, sum_.data() + row * d_);
    products.transposed.run(p_.data(), q, dk_.data());
  }

  std::int64_t t_, d_, h_, edge_;
  float scale_;
  std::vector<Products> products_;    // of a tile (edge, edge), (edge, last), (last, edge), (last, last)
  std::vector<float> s_;              // (edge, edge) scores, then gradient of the probabilities
  std::vector<T> p_;                  // (edge, edge) probabilities, then gradient of the scores
  DenseHeads<T> dense_;               // of one head
  std::vector<float> sum_, dk_, dv_;  // (tokens, d) out or dQ; (edge, d)
  std::vector<SoftmaxRow> rows_;      // (tokens)
  std::vector<float> dots_;           // (tokens) of out and its gradient
};

}  // namespace gpumonth::ops
