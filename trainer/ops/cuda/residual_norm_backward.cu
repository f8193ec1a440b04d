#include <algorithm>

#include "trainer/ops/cuda/reduce_columns.h"
#include "trainer/ops/cuda/residual_norm.h"
#include "trainer/ops/residual_norm.h"

namespace gpumonth::ops {
namespace {

enum Partial { kShift, kScale, kGate, kBias, kPartials };  // of a chunk, h floats each

/// What one row needs at one vector of columns: for its sums, and what its gradients need besides.
template <class T, int N>
struct ForSums {
  Raw<float, N> x;
  Raw<T, N> dy;
};
template <class T, int N>
struct ForGradients {
  Raw<float, N> dx;
  Raw<T, N> branch;
};

template <class T, int N>
__device__ __forceinline__ ForSums<T, N> load_for_sums(const ResidualNormBackward<T>& a, std::int64_t at) {
  return {load_constant<float, N>(a.x + at), load_constant<T, N>(a.dy + at)};
}

template <class T, int N, bool kBranch>
__device__ __forceinline__ ForGradients<T, N> load_for_gradients(const ResidualNormBackward<T>& a, std::int64_t at) {
  ForGradients<T, N> r;
  r.dx = a.first ? Raw<float, N>{} : load<float, N>(a.dx + at);
  if constexpr (kBranch) r.branch = load_constant<T, N>(a.branch + at);
  return r;
}

/// Rows of a sample per partial sum: what lets the blocks end together. A block has `rows` rows and what a few more cost,
/// its first loads and last stores; `slots` blocks run at a time.
std::int64_t chunk_rows(const ResidualNormShape& s, std::int64_t slots) {
  constexpr std::int64_t kMost = 256, kStartAndEnd = 4;
  std::int64_t best = kResidualNormChunk, least = 0;
  for (std::int64_t rows = kResidualNormChunk; rows <= kMost; rows *= 2) {
    const std::int64_t blocks = s.batch * ((s.tokens + rows - 1) / rows);
    const std::int64_t cost = (blocks + slots - 1) / slots * (std::min(rows, s.tokens) + kStartAndEnd);
    if (least > 0 && cost >= least) continue;
    least = cost;
    best = rows;
  }
  return best;
}

/// Blocks of a multiprocessor at a time, for which registers are kept in bounds (168 a thread), where blocks are small.
constexpr int least_resident(int threads) { return threads <= 96 ? 4 : threads <= 128 ? 3 : 1; }

/// Block = one chunk of a sample's rows, row after row; a thread keeps V vectors of N columns and their
/// column sums in registers. What the next row's gradients need is fetched vector by vector as soon as this row's is used
/// up; what its sums need, with which it begins, is under way a whole row before (kAhead), where registers allow. kFull:
/// every vector of every thread is in use. scratch (B, chunks, kPartials, h).
template <class T, int N, int V, int kMaxThreads, bool kBranch, bool kFull>
__global__ void __launch_bounds__(kMaxThreads, least_resident(kMaxThreads))
    backward_kernel(ResidualNormShape s, ResidualNormBackward<T> a, unsigned chunks, std::int64_t chunk,
                    float* __restrict__ scratch) {
  constexpr bool kAhead = kMaxThreads <= 256;
  __shared__ float shared[2][2][32];  // of even and odd rows: one barrier a row is enough
  const int h = static_cast<int>(s.width), threads = static_cast<int>(blockDim.x);
  const auto column = [&](int v) { return (v * threads + static_cast<int>(threadIdx.x)) * N; };
  const auto inside = [&](int v) { return kFull || column(v) < h; };
  const std::int64_t sample = blockIdx.x / chunks, first = blockIdx.x % chunks * chunk;
  const std::int64_t m = sample * s.modulation_stride;
  const int rows = static_cast<int>(s.tokens - first < chunk ? s.tokens - first : chunk);
  std::int64_t row = sample * s.tokens + first;

  ForSums<T, N> in[V];
  ForGradients<T, N> also[V];
  float sums[kPartials][V][N] = {};
#pragma unroll
  for (int v = 0; v < V; ++v)
    if (inside(v)) {
      in[v] = load_for_sums<T, N>(a, row * h + column(v));
      also[v] = load_for_gradients<T, N, kBranch>(a, row * h + column(v));
    }

  float mean = a.mean[row], rstd = a.rstd[row];
  for (int r = 0; r < rows; ++r, ++row) {
    const bool more = r + 1 < rows;
    const float next_mean = more ? a.mean[row + 1] : 0.0f, next_rstd = more ? a.rstd[row + 1] : 0.0f;
    [[maybe_unused]] ForSums<T, N> next[V] = {};
    if constexpr (kAhead) {
#pragma unroll
      for (int v = 0; v < V; ++v)
        if (more && inside(v)) next[v] = load_for_sums<T, N>(a, (row + 1) * h + column(v));
    }
    float sum_g = 0, sum_gx = 0;
#pragma unroll
    for (int v = 0; v < V; ++v) {
      if (!inside(v)) continue;
      float dy[N], x[N], scale[N];
      widen<T, N>(in[v].dy, dy);
      widen<float, N>(in[v].x, x);
      read_constant(a.scale + m + column(v), scale);
#pragma unroll
      for (int j = 0; j < N; ++j) {
        const float xhat = (x[j] - mean) * rstd, g = dy[j] * (1.0f + scale[j]);
        sum_g += g;
        sum_gx += g * xhat;
        sums[kShift][v][j] += dy[j];
        sums[kScale][v][j] += dy[j] * xhat;
      }
    }
    // Two sums, one barrier.
    sum_g = warp_sum(sum_g);
    sum_gx = warp_sum(sum_gx);
    if (threadIdx.x % 32 == 0) {
      shared[r % 2][0][threadIdx.x / 32] = sum_g;
      shared[r % 2][1][threadIdx.x / 32] = sum_gx;
    }
    __syncthreads();
    sum_g = sum_gx = 0;
    for (int w = 0; w < threads / 32; ++w) {
      sum_g += shared[r % 2][0][w];
      sum_gx += shared[r % 2][1][w];
    }
    const float mean_g = sum_g / static_cast<float>(h), mean_gx = sum_gx / static_cast<float>(h);
#pragma unroll
    for (int v = 0; v < V; ++v) {
      if (!inside(v)) continue;
      const std::int64_t at = row * h + column(v);
      float dy[N], x[N], dx[N], scale[N];
      widen<T, N>(in[v].dy, dy);
      widen<float, N>(in[v].x, x);
      widen<float, N>(also[v].dx, dx);
      read_constant(a.scale + m + column(v), scale);
#pragma unroll
      for (int j = 0; j < N; ++j) {
        const float xhat = (x[j] - mean) * rstd, g = dy[j] * (1.0f + scale[j]);
        dx[j] += rstd * (g - mean_g - xhat * mean_gx);
      }
      write(a.dx + at, dx);
      if constexpr (kBranch) {
        float branch[N], gate[N], d[N];
        widen<T, N>(also[v].branch, branch);
        read_constant(a.gate + m + column(v), gate);
#pragma unroll
        for (int j = 0; j < N; ++j) {
          d[j] = gate[j] * dx[j];
          sums[kGate][v][j] += dx[j] * branch[j];
          sums[kBias][v][j] += d[j];
        }
        write(a.dbranch + at, d);
      }
      if (more) {
        if constexpr (kAhead) {
          in[v] = next[v];
        } else {
          in[v] = load_for_sums<T, N>(a, at + h);
        }
        also[v] = load_for_gradients<T, N, kBranch>(a, at + h);
      }
    }
    mean = next_mean;
    rstd = next_rstd;
  }
  float* partial = scratch + std::int64_t{blockIdx.x} * kPartials * h;
#pragma unroll
  for (int v = 0; v < V; ++v) {
    if (!inside(v)) continue;
#pragma unroll
    for (int p = 0; p < (kBranch ? kPartials : kGate); ++p) write(partial + p * h + column(v), sums[p][v]);
  }
}

/// A sum of this many partial sums or fewer is one warp's: eight would wait for each other longer than they read.
constexpr unsigned kOneWarpChunks = 16;

/// The modulation gradients of each sample, and the bias gradient over all of them, from the chunks' partial sums. A sum
/// is of a tile of columns: of the bias, one block's, the longest and so the first; then 3 B sample sums, without branch
/// 2 B, each of `warps` warps, 1 or all of a block.
template <class T, int N>
__global__ void __launch_bounds__(kColumnWarps * 32)
    chunks_kernel(ResidualNormShape s, ResidualNormBackward<T> a, unsigned tiles, unsigned chunks, unsigned warps,
                  const float* __restrict__ scratch) {
  const unsigned bias_blocks = a.branch ? tiles : 0, per_sample = a.branch ? 3 : 2;
  const bool bias = blockIdx.x < bias_blocks;
  if (bias) warps = kColumnWarps;
  const unsigned warp = threadIdx.x / 32;
  const unsigned unit = bias ? blockIdx.x : (blockIdx.x - bias_blocks) * (kColumnWarps / warps) + warp / warps;
  const std::int64_t h = s.width, column = (std::int64_t{unit % tiles} * 32 + threadIdx.x % 32) * N;
  const unsigned sample = bias ? 0 : unit / tiles / per_sample;
  const unsigned which = bias ? unsigned{kBias} : unit / tiles % per_sample;
  if (sample >= s.batch) return;  // whole warps, and no barrier follows where warps are alone
  const std::int64_t begin = std::int64_t{sample} * chunks;
  const std::int64_t end = bias ? s.batch * chunks : begin + chunks;
  float sum[N] = {};
  if (column < h) {
#pragma unroll 8
    for (std::int64_t chunk = begin + warp % warps; chunk < end; chunk += warps) {
      float values[N];
      read(scratch + (chunk * kPartials + which) * h + column, values);
#pragma unroll
      for (int j = 0; j < N; ++j) sum[j] += values[j];
    }
  }
  if ((warps > 1 && !add_warps(sum)) || column >= h) return;
  float* out = bias ? a.dbranch_bias
                    : (which == kShift   ? a.dshift
                       : which == kScale ? a.dscale
                                         : a.dgate) +
                          sample * s.modulation_stride;
#pragma unroll
  for (int j = 0; j < N; ++j) out[column + j] = sum[j];
}

template <class T, int N, int V, int kMaxThreads>
void launch(Cuda& cuda, const ResidualNormShape& s, const ResidualNormBackward<T>& a, float* scratch) {
  const unsigned threads = blocks_for(s.width, 32 * N * V) * 32;
  constexpr bool kMayBeFull = N > 1;
  const bool full = kMayBeFull && std::int64_t{threads} * N * V == s.width;
  const auto kernel = a.branch ? (full ? backward_kernel<T, N, V, kMaxThreads, true, kMayBeFull>
                                       : backward_kernel<T, N, V, kMaxThreads, true, false>)
                               : (full ? backward_kernel<T, N, V, kMaxThreads, false, kMayBeFull>
                                       : backward_kernel<T, N, V, kMaxThreads, false, false>);
  int resident = 1;  // blocks of a multiprocessor
  GPUMONTH_CUDA(cudaOccupancyMaxActiveBlocksPerMultiprocessor, &resident, kernel, static_cast<int>(threads), 0);
  const std::int64_t chunk = chunk_rows(s, std::int64_t{std::max(resident, 1)} * cuda.context->multiprocessors);
  const unsigned chunks = blocks_for(s.tokens, chunk), grid = static_cast<unsigned>(s.batch) * chunks;
  kernel<<<grid, threads, 0, stream_of(cuda)>>>(s, a, chunks, chunk, scratch);
  GPUMONTH_CUDA_LAUNCHED();

  const unsigned tiles = blocks_for(s.width, 32 * N), warps = chunks <= kOneWarpChunks ? 1 : kColumnWarps;
  const unsigned sums = tiles * static_cast<unsigned>(s.batch) * (a.branch ? 3 : 2);
  const unsigned blocks = (a.branch ? tiles : 0) + blocks_for(sums, kColumnWarps / warps);
  chunks_kernel<T, N><<<blocks, kColumnWarps * 32, 0, stream_of(cuda)>>>(s, a, tiles, chunks, warps, scratch);
  GPUMONTH_CUDA_LAUNCHED();
}

}  // namespace

template <class T>
void residual_norm_backward(Cuda& cuda, const ResidualNormShape& s, const ResidualNormBackward<T>& a, float* scratch) {
  constexpr int N = 4;
  if (s.batch * s.tokens * s.width <= 0) return;
  check_width(s.width);
  const bool vectors = s.width % N == 0 && s.modulation_stride % N == 0 &&
                       aligned<N>(a.x, a.dx, a.scale, a.gate, scratch) && aligned<N>(a.dy, a.branch, a.dbranch);
  if (!vectors && s.width <= 256) {
    launch<T, 1, 1, 256>(cuda, s, a, scratch);
  } else if (!vectors) {
    launch<T, 1, 12, 1024>(cuda, s, a, scratch);
  } else if (s.width <= 1024) {
    launch<T, N, 1, 256>(cuda, s, a, scratch);
  } else if (s.width <= 1152) {
    launch<T, N, 3, 96>(cuda, s, a, scratch);
  } else if (s.width <= 1536) {
    launch<T, N, 3, 128>(cuda, s, a, scratch);
  } else if (s.width <= 6144) {
    launch<T, N, 3, 512>(cuda, s, a, scratch);
  } else {
    launch<T, N, 3, 1024>(cuda, s, a, scratch);  // spills: correct, not fast
  }
}

template void residual_norm_backward(Cuda&, const ResidualNormShape&, const ResidualNormBackward<float>&, float*);
template void residual_norm_backward(Cuda&, const ResidualNormShape&, const ResidualNormBackward<bf16>&, float*);

}  // namespace gpumonth::ops
