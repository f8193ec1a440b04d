// Dense copies of some heads' operands, which lie strided in qkv: oneDNN's fast kernels want dense ones.
#pragma once

#include <algorithm>
#include <vector>

#include "trainer/ops/attention.h"

namespace gpumonth::ops {

/// (heads, tokens, d) of each of Q, K, V, and of the output's gradient where there is a backward.
template <class T>
class DenseHeads {
 public:
  DenseHeads(const AttentionShape& a, std::int64_t heads)
      : q(heads * a.tokens * a.head_dim), k(q.size()), v(q.size()), d_out(a.backward ? q.size() : 0), heads_(heads),
        t_(a.tokens), d_(a.head_dim), h_(a.heads * d_) {}

  /// From the first head's columns in qkv (tokens, 3 heads d), and in the output's gradient (tokens, heads d).
  void gather_qkv(const T* qkv) {
    gather(qkv, 3 * h_, q);
    gather(qkv + h_, 3 * h_, k);
    gather(qkv + 2 * h_, 3 * h_, v);
  }
  void gather_d_out(const T* dout) { gather(dout, h_, d_out); }

  std::vector<T> q, k, v, d_out;

 private:
  void gather(const T* from, std::int64_t stride, std::vector<T>& to) const {
    for (std::int64_t g = 0; g < heads_; ++g)
      for (std::int64_t r = 0; r < t_; ++r) std::copy_n(from + r * stride + g * d_, d_, to.data() + (g * t_ + r) * d_);
  }

  std::int64_t heads_, t_, d_, h_;
};

}  // namespace gpumonth::ops
