// Dense copies of some heads' operands, which lie strided in qkv: fast kernels want dense ones.
#pragma once

#include <algorithm>
#include <new>
#include <vector>

#include "trainer/ops/attention.h"

namespace gpumonth::ops {

/// A vector that begins on a cache line.
template <class T>
struct LineAllocator {
  using value_type = T;
  static constexpr std::align_val_t kLine{64};
  LineAllocator() = default;
  template <class U>
  LineAllocator(const LineAllocator<U>&) {}
  T* allocate(std::size_t n) { return static_cast<T*>(::operator new(n * sizeof(T), kLine)); }
  void deallocate(T* memory, std::size_t) { ::operator delete(memory, kLine); }
  bool operator==(const LineAllocator&) const { return true; }
};
template <class T>
using LineVector = std::vector<T, LineAllocator<T>>;

/// (heads, tokens, d) of each of Q, K, V, and of the output's gradient where there is a backward. Tokens and d may be
/// padded with zeros.
template <class T>
class DenseHeads {
 public:
  DenseHeads(const AttentionShape& a, std::int64_t heads) : DenseHeads(a, heads, a.tokens, a.head_dim) {}
  DenseHeads(const AttentionShape& a, std::int64_t heads, std::int64_t padded_tokens, std::int64_t padded_d)
      : q(heads * padded_tokens * padded_d), k(q.size()), v(q.size()), d_out(a.backward ? q.size() : 0), heads_(heads),
        t_(a.tokens), d_(a.head_dim), h_(a.heads * d_), rows_(padded_tokens), row_(padded_d) {}

  /// From the first head's columns in qkv (tokens, 3 heads d), and in the output's gradient (tokens, heads d).
  void gather_qkv(const T* qkv) {
    gather(qkv, 3 * h_, q);
    gather(qkv + h_, 3 * h_, k);
    gather(qkv + 2 * h_, 3 * h_, v);
  }
  void gather_d_out(const T* dout) { gather(dout, h_, d_out); }

  LineVector<T> q, k, v, d_out;

 private:
  void gather(const T* from, std::int64_t stride, LineVector<T>& to) const {
    for (std::int64_t g = 0; g < heads_; ++g)
      for (std::int64_t r = 0; r < t_; ++r)
        std::copy_n(from + r * stride + g * d_, d_, to.data() + (g * rows_ + r) * row_);
  }

  std::int64_t heads_, t_, d_, h_, rows_, row_;
};

}  // namespace gpumonth::ops
