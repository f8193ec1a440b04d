// Forward. The backward pass is in residual_norm_backward.cu.
#include "trainer/ops/cuda/residual_norm.h"
#include "trainer/ops/cuda/vectorized.h"
#include "trainer/ops/residual_norm.h"

namespace gpumonth::ops {
namespace {

constexpr int kBlockWarps =
    8;  // that hold as many rows as fit: rows of one block share their modulation in the L1 cache

/// The sum over the `warps` warps of a row, the same bits in each thread. `shared` is of one use.
__device__ __forceinline__ float row_sum(float value, int warps, float* shared) {
  value = warp_sum(value);
  if (warps == 1) return value;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  if (threadIdx.x % 32 == 0) shared[warp] = value;
  __syncthreads();
  float sum = 0;
  for (int w = warp / warps * warps; w < (warp / warps + 1) * warps; ++w) sum += shared[w];
  return sum;
}

/// `warps` warps hold a row in registers, V vectors of N a thread. kFull: every vector of every thread is in
/// use, so that no branches stand between the loads.
template <class T, int N, int V, int kMaxThreads, bool kBranch, bool kFull>
__global__ void __launch_bounds__(kMaxThreads, kMaxThreads <= 256 ? 2 : 1)
    forward_kernel(ResidualNormShape s, ResidualNormForward<T> a, int warps) {
  __shared__ float shared[2][32];
  const int threads = warps * 32, lane = static_cast<int>(threadIdx.x) % threads;
  const std::int64_t row = std::int64_t{blockIdx.x} * (blockDim.x / threads) + threadIdx.x / threads;
  const bool live = row < s.batch * s.tokens;  // the others take part in the barriers
  const int h = static_cast<int>(s.width);
  const std::int64_t m = static_cast<unsigned>(row) / static_cast<unsigned>(s.tokens) * s.modulation_stride;
  const auto column = [&](int v) { return (v * threads + lane) * N; };
  const auto inside = [&](int v) { return kFull || (live && column(v) < h); };

  Raw<float, N> x_in[V];
  [[maybe_unused]] Raw<T, N> branch[V];
#pragma unroll
  for (int v = 0; v < V; ++v) {
    if (!inside(v)) continue;
    x_in[v] = load_constant<float, N>(a.x_in + row * h + column(v));
    if constexpr (kBranch) branch[v] = load_constant<T, N>(a.branch + row * h + column(v));
  }
  float x[V][N], sum = 0;
#pragma unroll
  for (int v = 0; v < V; ++v) {
    if (!inside(v)) continue;
    widen<float, N>(x_in[v], x[v]);
    if constexpr (kBranch) {
      float gate[N], add[N];
      read_constant(a.gate + m + column(v), gate);
      widen<T, N>(branch[v], add);
#pragma unroll
      for (int j = 0; j < N; ++j) x[v][j] += gate[j] * add[j];
      write(a.x_out + row * h + column(v), x[v]);
    }
#pragma unroll
    for (int j = 0; j < N; ++j) sum += x[v][j];
  }
  const float mean = row_sum(sum, warps, shared[0]) / static_cast<float>(h);
  float square = 0;
#pragma unroll
  for (int v = 0; v < V; ++v) {
    if (!inside(v)) continue;
#pragma unroll
    for (int j = 0; j < N; ++j) square += (x[v][j] - mean) * (x[v][j] - mean);
  }
  square = row_sum(square, warps, shared[1]);
  const float rstd = 1.0f / std::sqrt(square / static_cast<float>(h) + kResidualNormEpsilon);
#pragma unroll
  for (int v = 0; v < V; ++v) {
    if (!inside(v)) continue;
    float scale[N], shift[N], y[N];
    read_constant(a.scale + m + column(v), scale);
    read_constant(a.shift + m + column(v), shift);
#pragma unroll
    for (int j = 0; j < N; ++j) y[j] = (x[v][j] - mean) * rstd * (1.0f + scale[j]) + shift[j];
    write(a.y + row * h + column(v), y);
  }
  if (lane > 0 || !live) return;
  a.mean[row] = mean;
  a.rstd[row] = rstd;
}

template <class T, int N, int V, int kMaxThreads>
void launch(Cuda& cuda, const ResidualNormShape& s, const ResidualNormForward<T>& a) {
  const int warps = static_cast<int>(blocks_for(s.width, 32 * N * V));
  const int rows = warps < kBlockWarps ? kBlockWarps / warps : 1;
  constexpr bool kMayBeFull = N > 1;
  const bool full = kMayBeFull && warps * 32 * N * V == s.width && s.batch * s.tokens % rows == 0;
  const auto kernel = a.branch ? (full ? forward_kernel<T, N, V, kMaxThreads, true, kMayBeFull>
                                       : forward_kernel<T, N, V, kMaxThreads, true, false>)
                               : (full ? forward_kernel<T, N, V, kMaxThreads, false, kMayBeFull>
                                       : forward_kernel<T, N, V, kMaxThreads, false, false>);
  kernel<<<blocks_for(s.batch * s.tokens, rows), rows * warps * 32, 0, stream_of(cuda)>>>(s, a, warps);
  GPUMONTH_CUDA_LAUNCHED();
}

}  // namespace

template <class T>
void residual_norm_forward(Cuda& cuda, const ResidualNormShape& s, const ResidualNormForward<T>& a) {
  constexpr int N = 4, kThreads = kBlockWarps * 32;
  if (s.batch * s.tokens * s.width <= 0) return;
  check_width(s.width);
  const bool vectors = s.width % N == 0 && s.modulation_stride % N == 0 &&
                       aligned<N>(a.x_in, a.gate, a.scale, a.shift, a.x_out) && aligned<N>(a.branch, a.y);
  // A thread holds 12 vectors at most; fewer where a warp's worth suffices, so that registers allow more rows
  // at once.
  if (!vectors) {
    launch<T, 1, 12, 1024>(cuda, s, a);
  } else if (s.width <= 1 * 32 * N) {
    launch<T, N, 1, kThreads>(cuda, s, a);
  } else if (s.width <= 3 * 32 * N) {
    launch<T, N, 3, kThreads>(cuda, s, a);
  } else if (s.width <= 6 * 32 * N) {
    launch<T, N, 6, kThreads>(cuda, s, a);
  } else if (s.width <= 9 * 32 * N) {
    launch<T, N, 9, kThreads>(cuda, s, a);
  } else {
    launch<T, N, 12, kThreads>(cuda, s, a);
  }
}

template void residual_norm_forward(Cuda&, const ResidualNormShape&, const ResidualNormForward<float>&);
template void residual_norm_forward(Cuda&, const ResidualNormShape&, const ResidualNormForward<bf16>&);

}  // namespace gpumonth::ops
