// Work is cut into (sample, group of heads, block of query rows) so that one score block and its gradient stay in
// the L2 cache; each thread runs its own single-threaded oneDNN products over strided views of qkv.
#include <omp.h>

#include <cmath>
#include <vector>

#include "trainer/ops/attention_impl.h"
#include "trainer/ops/cpu/convert.h"
#include "trainer/ops/cpu/onednn.h"
#include "trainer/ops/cpu/parallel.h"
#include "trainer/ops/math.h"

namespace gpumonth::ops {
namespace {

constexpr std::int64_t kScoreBytes = 256 * 1024;  // fp32 scores of one task: with P beside it, half of a 1 MiB L2

struct Blocking {
  std::int64_t heads, rows;  // of one score block
};

Blocking choose_blocking(const AttentionShape& s) {
  const std::int64_t row_bytes = s.tokens * 4;
  const std::int64_t rows = largest_divisor(s.tokens, std::max<std::int64_t>(1, kScoreBytes / row_bytes));
  if (rows < s.tokens) return {1, rows};
  return {largest_divisor(s.heads, kScoreBytes / (row_bytes * rows)), rows};
}

/// Row-wise softmax of scaled scores, in place to probabilities of type T. Returns the log-sum-exp.
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

/// The products and buffers of one thread.
template <class T>
struct Worker {
  Matmul scores, values, dprobabilities, dq, dk, dv;
  std::vector<float> s;               // (G, R, T) scores, then gradient of the probabilities
  std::vector<T> p;                   // (G, R, T) probabilities, then gradient of the scores
  std::vector<T> q, k, v, d_out;      // (G, T, d) copies of the strided operands: oneDNN's fast kernels want dense ones
  std::vector<float> dk_sum, dv_sum;  // (G, T, d) where query rows come in several blocks

  Worker(const AttentionShape& a, const Blocking& b)
      : scores(product(a, b, kScores)), values(product(a, b, kValues)), dprobabilities(product(a, b, kDp)),
        dq(product(a, b, kDq)), dk(product(a, b, kDk)), dv(product(a, b, kDv)), s(b.heads * b.rows * a.tokens),
        p(b.heads * b.rows * a.tokens), q(b.heads * a.tokens * a.head_dim), k(q.size()), v(q.size()),
        d_out(a.backward ? q.size() : 0) {
    if (a.backward && b.rows < a.tokens) {
      dk_sum.resize(b.heads * a.tokens * a.head_dim);
      dv_sum.resize(b.heads * a.tokens * a.head_dim);
    }
  }

 private:
  enum Product { kScores, kValues, kDp, kDq, kDk, kDv };
  static Matmul product(const AttentionShape& a, const Blocking& b, Product which) {
    const std::int64_t t = a.tokens, d = a.head_dim, h = a.heads * d, r = b.rows;
    const Dtype type = dtype_of<T>();
    const Strides in{t * d, d, 1}, in_transposed{t * d, 1, d}, out{d, h, 1}, din{d, 3 * h, 1};
    const Strides block{r * t, t, 1}, block_transposed{r * t, 1, t}, sum{t * d, d, 1};
    const bool blocked = r < t;
    MatmulShape s{.batch = b.heads, .in = type, .out = type};
    switch (which) {
      case kScores: s.m = r, s.n = t, s.k = d, s.out = Dtype::fp32, s.a = in, s.b = in_transposed, s.c = block; break;
      case kValues: s.m = r, s.n = d, s.k = t, s.a = block, s.b = in, s.c = out; break;
      case kDp: s.m = r, s.n = t, s.k = d, s.out = Dtype::fp32, s.a = in, s.b = in_transposed, s.c = block; break;
      case kDq: s.m = r, s.n = d, s.k = t, s.a = block, s.b = in, s.c = din; break;
      case kDk: s.m = t, s.n = d, s.k = r, s.a = block_transposed, s.b = in, s.c = blocked ? sum : din; break;
      case kDv: s.m = t, s.n = d, s.k = r, s.a = block_transposed, s.b = in, s.c = blocked ? sum : din; break;
    }
    if (blocked && (which == kDk || which == kDv)) s.out = Dtype::fp32, s.accumulate = true;
    return Matmul(s, 1);
  }
};

}  // namespace

template <class T>
struct AttentionImpl<Cpu, T> {
  AttentionShape shape;
  Blocking block;
  Cpu cpu;
  std::vector<Worker<T>> workers;
  float scale;

  AttentionImpl(const Cpu& device, const AttentionShape& s)
      : shape(s), block(choose_blocking(s)), cpu(device), scale(1.0f / std::sqrt(static_cast<float>(s.head_dim))) {
    for (int i = 0; i < cpu.threads; ++i) workers.emplace_back(s, block);
  }

  /// f(worker, sample, first head) for every head group, each thread with its own worker.
  template <class F>
  void for_each_group(F&& f) {
    const std::int64_t groups = shape.heads / block.heads;
    parallel_for(cpu, shape.batch * groups, 1, [&](std::int64_t begin, std::int64_t end) {
      Worker<T>& worker = workers[cpu.threads == 1 ? 0 : omp_get_thread_num()];
      for (std::int64_t i = begin; i < end; ++i) f(worker, i / groups, i % groups * block.heads);
    });
  }

  /// (G, T, d) dense from rows `stride` elements apart.
  void gather(const T* from, std::int64_t stride, std::vector<T>& to) const {
    const std::int64_t t = shape.tokens, d = shape.head_dim;
    for (std::int64_t g = 0; g < block.heads; ++g)
      for (std::int64_t r = 0; r < t; ++r) std::copy_n(from + r * stride + g * d, d, to.data() + (g * t + r) * d);
  }

  void gather_qkv(Worker<T>& w, const T* qkv) const {
    const std::int64_t h = shape.heads * shape.head_dim;
    gather(qkv, 3 * h, w.q);
    gather(qkv + h, 3 * h, w.k);
    gather(qkv + 2 * h, 3 * h, w.v);
  }

  void forward_group(Worker<T>& w, const T* qkv, T* out, float* lse) const {
    const std::int64_t t = shape.tokens, d = shape.head_dim, h = shape.heads * d;
    gather_qkv(w, qkv);
    for (std::int64_t row = 0; row < t; row += block.rows) {
      w.scores.run(w.q.data() + row * d, w.k.data(), w.s.data());
      for (std::int64_t g = 0; g < block.heads; ++g)
        for (std::int64_t r = 0; r < block.rows; ++r) {
          const std::int64_t at = (g * block.rows + r) * t;
          lse[g * t + row + r] = softmax_row(t, scale, w.s.data() + at, w.p.data() + at);
        }
      w.values.run(w.p.data(), w.v.data(), out + row * h);
    }
  }

  void probabilities(Worker<T>& w, const float* lse, std::int64_t row) const {
    const std::int64_t t = shape.tokens;
    for (std::int64_t g = 0; g < block.heads; ++g)
      for (std::int64_t r = 0; r < block.rows; ++r) {
        float* s = w.s.data() + (g * block.rows + r) * t;
        T* p = w.p.data() + (g * block.rows + r) * t;
        const float scale2 = scale * kLog2E, offset2 = lse[g * t + row + r] * kLog2E;
        float* target = row_target(p, s);
#pragma omp simd
        for (std::int64_t i = 0; i < t; ++i) target[i] = fast_exp2(s[i] * scale2 - offset2);
        write_row(t, target, p);
      }
  }

  /// p = p (dp - dot) / sqrt(d); dp is used up.
  void scale_gradient(std::int64_t n, float dot, float* dp, T* p) const {
    alignas(64) float buffer[kFloatBlock];
    const float* in = read_row(n, p, buffer);
    float* target = row_target(p, dp);
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) target[i] = in[i] * (dp[i] - dot) * scale;
    write_row(n, target, p);
  }

  /// dS = P (dP - sum_j dO_j O_j) / sqrt(d), in place of P.
  void score_gradient(Worker<T>& w, const T* out, const T* dout, std::int64_t row) const {
    const std::int64_t t = shape.tokens, d = shape.head_dim, h = shape.heads * d;
    for (std::int64_t g = 0; g < block.heads; ++g)
      for (std::int64_t r = 0; r < block.rows; ++r) {
        const T *o = out + (row + r) * h + g * d, *go = dout + (row + r) * h + g * d;
        float dot = 0;
#pragma omp simd reduction(+ : dot)
        for (std::int64_t i = 0; i < d; ++i) dot += to_float(o[i]) * to_float(go[i]);
        float* dp = w.s.data() + (g * block.rows + r) * t;
        T* p = w.p.data() + (g * block.rows + r) * t;
        for (std::int64_t at = 0; at < t; at += kFloatBlock)
          scale_gradient(std::min(kFloatBlock, t - at), dot, dp + at, p + at);
      }
  }

  void backward_group(Worker<T>& w, const T* qkv, const T* out, const float* lse, const T* dout, T* dqkv) const {
    const std::int64_t t = shape.tokens, d = shape.head_dim, h = shape.heads * d;
    const bool blocked = block.rows < t;
    gather_qkv(w, qkv);
    gather(dout, h, w.d_out);
    if (blocked) {
      std::fill(w.dk_sum.begin(), w.dk_sum.end(), 0.0f);
      std::fill(w.dv_sum.begin(), w.dv_sum.end(), 0.0f);
    }
    for (std::int64_t row = 0; row < t; row += block.rows) {
      const T *q = w.q.data() + row * d, *d_out = w.d_out.data() + row * d;
      w.scores.run(q, w.k.data(), w.s.data());
      probabilities(w, lse, row);
      w.dv.run(w.p.data(), d_out, blocked ? static_cast<void*>(w.dv_sum.data()) : dqkv + 2 * h);
      w.dprobabilities.run(d_out, w.v.data(), w.s.data());
      score_gradient(w, out, dout, row);
      w.dq.run(w.p.data(), w.k.data(), dqkv + row * 3 * h);
      w.dk.run(w.p.data(), q, blocked ? static_cast<void*>(w.dk_sum.data()) : dqkv + h);
    }
    if (blocked) {
      store(w.dk_sum, dqkv + h);
      store(w.dv_sum, dqkv + 2 * h);
    }
  }

  void store(const std::vector<float>& sum, T* target) const {
    const std::int64_t t = shape.tokens, d = shape.head_dim, h = shape.heads * d;
    for (std::int64_t g = 0; g < block.heads; ++g)
      for (std::int64_t r = 0; r < t; ++r)
        for (std::int64_t i = 0; i < d; ++i) target[r * 3 * h + g * d + i] = from_float<T>(sum[(g * t + r) * d + i]);
  }

  void forward(const T* qkv, T* out, float* lse) {
    const std::int64_t t = shape.tokens, d = shape.head_dim, h = shape.heads * d;
    for_each_group([&](Worker<T>& w, std::int64_t b, std::int64_t head) {
      forward_group(w, qkv + b * t * 3 * h + head * d, out + b * t * h + head * d, lse + (b * shape.heads + head) * t);
    });
  }

  void backward(const T* qkv, const T* out, const float* lse, const T* dout, T* dqkv) {
    const std::int64_t t = shape.tokens, d = shape.head_dim, h = shape.heads * d;
    for_each_group([&](Worker<T>& w, std::int64_t b, std::int64_t head) {
      const std::int64_t in = b * t * 3 * h + head * d, at = b * t * h + head * d;
      backward_group(w, qkv + in, out + at, lse + (b * shape.heads + head) * t, dout + at, dqkv + in);
    });
  }
};

template class Attention<Cpu, float>;
template class Attention<Cpu, bf16>;

}  // namespace gpumonth::ops
