// Backward of whole-head attention. Each of 8 warps owns 32 keys and keeps their dK and dV in registers while queries pass
// by, 64 at a time, two such blocks in shared memory by turns. Scores are held transposed, rows are keys, so that they are
// left operands of dV and dK as they are; their gradients go through shared memory once, for dQ of the 64 queries.
#include <cmath>

#include "trainer/ops/cuda/attention_fragments.h"
#include "trainer/ops/cuda/attention_whole.h"
#include "trainer/ops/math.h"

namespace gpumonth::ops {
namespace {

using namespace attention;

constexpr int kBackwardWarps = 8, kBackwardThreads = kBackwardWarps * kWarpLanes;
constexpr int kMostKeys = kBackwardWarps * kBlockRows;
constexpr int kQueries = 64;                   // of a block of queries
constexpr int kGradientRow = kQueries + 8;     // elements from key to key in the scores' gradients: meets no bank twice
static_assert(kMostKeys <= kBackwardThreads);  // start_statistics() gives each query a thread

/// What lies in a block's shared memory, at places that do not depend on the number of tokens: those are immediates then,
/// and registers are what this kernel is short of. They allow one block a multiprocessor in any case.
template <int kWidth>
struct BackwardMemory {
  static constexpr int kRow = Slices<kWidth>::kRow;
  static constexpr std::size_t kBytes =
      sizeof(bf16) * (2 * kMostKeys * kRow + 4 * kQueries * kRow + kMostKeys * kGradientRow) +
      2 * sizeof(float) * kMostKeys;
  bf16 *k, *v;          // (kMostKeys, kRow)
  bf16 *q, *dout;       // (2, kQueries, kRow)
  bf16* gradients;      // (kMostKeys, kGradientRow), of scores, not yet scaled
  float *offset, *dot;  // (kMostKeys), of each query, what its sums begin with: -log_sum_exp sqrt(d), -sum_j dO_j O_j

  __device__ explicit BackwardMemory(float4* shared) {
    k = reinterpret_cast<bf16*>(shared);
    v = k + kMostKeys * kRow;
    q = v + kMostKeys * kRow;
    dout = q + 2 * kQueries * kRow;
    gradients = dout + 2 * kQueries * kRow;
    offset = reinterpret_cast<float*>(gradients + kMostKeys * kGradientRow);
    dot = offset + kMostKeys;
  }
};

__device__ inline float as_float(std::uint32_t bits) { return __builtin_bit_cast(float, bits); }

/// Of 16 bytes each.
__device__ inline float dot_of_eight(const bf16* a, const bf16* b) {
  const uint4 x = *reinterpret_cast<const uint4*>(a), y = *reinterpret_cast<const uint4*>(b);
  const std::uint32_t left[4] = {x.x, x.y, x.z, x.w}, right[4] = {y.x, y.y, y.z, y.w};
  float sum = 0.0f;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    sum += as_float(left[i] << 16) * as_float(right[i] << 16);
    sum += as_float(left[i] & 0xffff0000u) * as_float(right[i] & 0xffff0000u);
  }
  return sum;
}

/// offset and dot of each query. Those beyond the last token get an offset of -infinity: no weight.
template <int kWidth>
__device__ void start_statistics(const BackwardMemory<kWidth>& memory, const Head& head, int tokens, const bf16* out,
                                 const float* lse, const bf16* dout) {
  const int row = static_cast<int>(threadIdx.x);
  if (row >= round_up(tokens, kQueries)) return;
  float offset = -INFINITY, dot = 0.0f;
  if (row < tokens) {
    const std::int64_t at = head.out + row * head.width;
    offset = -lse[head.row + row] / kScoreScale<kWidth>;
#pragma unroll
    for (int i = 0; i < kWidth; i += 8) dot += dot_of_eight(out + at + i, dout + at + i);
  }
  memory.offset[row] = offset;
  memory.dot[row] = -dot;
}

/// dK and dV of a warp's 32 keys.
template <int kWidth>
struct KeyGradients {
  static constexpr int kCount = Slices<kWidth>::kCount, kRow = Slices<kWidth>::kRow;
  float dk[2][kCount][4] = {}, dv[2][kCount][4] = {};

  /// Adds what 32 queries give, from row `query` of the block in shared memory on, and writes the gradients of their scores.
  __device__ void add(const BackwardMemory<kWidth>& memory, const bf16* q, const bf16* dout, int query, int first_query,
                      int first_key, int tokens) {
    constexpr float factor = kLog2E * kScoreScale<kWidth>;
    const RightRows<kWidth> q_rows(q + query * kRow), dout_rows(dout + query * kRow);
    Tile weights, gradients;
    begin_sums(weights, memory.offset + first_query + query);
    add_rows_product(weights, LeftRows<kWidth>(memory.k + first_key * kRow), q_rows);
#pragma unroll
    for (int m = 0; m < 2; ++m)
#pragma unroll
      for (int n = 0; n < 4; ++n)
#pragma unroll
        for (int i = 0; i < 4; ++i) weights[m][n][i] = tensor_cores::exp2_fast(weights[m][n][i] * factor);
    if (first_key + kBlockRows > tokens) hide_rows(weights, first_key, tokens);
    begin_sums(gradients, memory.dot + first_query + query);
    add_rows_product(gradients, LeftRows<kWidth>(memory.v + first_key * kRow), dout_rows);
#pragma unroll
    for (int m = 0; m < 2; ++m)
#pragma unroll
      for (int n = 0; n < 4; ++n)
#pragma unroll
        for (int i = 0; i < 4; ++i) gradients[m][n][i] *= weights[m][n][i];
    PackedTile packed;
    pack_tile(weights, packed);
    add_weighted_rows(dv, packed, dout_rows.slice);
    pack_tile(gradients, packed);
    write_gradients(
        packed, memory.gradients + (first_key + lane_of_warp() / 4) * kGradientRow + query + lane_of_warp() % 4 * 2);
    add_weighted_rows(dk, packed, q_rows.slice);
  }

  __device__ void store(const Head& head, int first_key, int tokens, bf16* dqkv) const {
#pragma unroll
    for (int m = 0; m < 2; ++m)
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int row = first_key + 16 * m + 8 * half + lane_of_warp() / 4;
        if (row >= tokens) continue;
        bf16* const target = dqkv + head.qkv + row * 3 * head.width;
        store_row(dk[m], half, kScoreScale<kWidth>, target + head.width);
        store_row(dv[m], half, 1.0f, target + 2 * head.width);
      }
  }

 private:
  /// Of 32 columns, each its own number.
  __device__ static void begin_sums(Tile& s, const float* columns) {
#pragma unroll
    for (int n = 0; n < 4; ++n) {
      const float2 two = *reinterpret_cast<const float2*>(columns + 8 * n + lane_of_warp() % 4 * 2);
#pragma unroll
      for (int m = 0; m < 2; ++m) s[m][n][0] = s[m][n][2] = two.x, s[m][n][1] = s[m][n][3] = two.y;
    }
  }

  /// `own`: the lane's first place.
  __device__ static void write_gradients(const PackedTile& packed, bf16* own) {
#pragma unroll
    for (int m = 0; m < 2; ++m)
#pragma unroll
      for (int j = 0; j < 2; ++j)
#pragma unroll
        for (int i = 0; i < 4; ++i)
          *reinterpret_cast<std::uint32_t*>(own + (16 * m + i % 2 * 8) * kGradientRow + 16 * j + i / 2 * 8) =
              packed[m][j][i];
  }

  /// Keys beyond the last token have no weight, however low the true scores are.
  __device__ static void hide_rows(Tile& s, int first_key, int tokens) {
#pragma unroll
    for (int m = 0; m < 2; ++m)
#pragma unroll
      for (int half = 0; half < 2; ++half)
        if (first_key + 16 * m + 8 * half + lane_of_warp() / 4 >= tokens)
#pragma unroll
          for (int n = 0; n < 4; ++n) s[m][n][2 * half] = s[m][n][2 * half + 1] = 0.0f;
  }
};

/// dQ of a block of queries: warps w and w + 4 have 16 queries, the first the larger half of the width.
template <int kWidth>
__device__ void store_queries(const BackwardMemory<kWidth>& memory, const Head& head, int first_query, int tokens,
                              bf16* dqkv) {
  constexpr int kCount = Slices<kWidth>::kCount, kRow = Slices<kWidth>::kRow, kHalf = (kCount + 1) / 2;
  constexpr float scale = kScoreScale<kWidth>;
  const int lane = lane_of_warp(), warp = warp_of_block();
  const int query = warp % 4 * 16, slice = warp / 4 * kHalf;
  if (first_query + query >= tokens) return;
  float dq[kHalf][4] = {};
#pragma unroll 1
  for (int key = 0; key < tokens; key += kBlockRows) {
    const SharedRow gradients(memory.gradients + key * kGradientRow + query + right_block(kGradientRow));
    const SharedRow k_row(memory.k + (key + lane) * kRow + 8 * slice);
    std::uint32_t l[2][4], r[4];
    for (int j = 0; j < 2; ++j) tensor_cores::load_matrices_transposed(l[j], gradients + 16 * j * kGradientRow);
#pragma unroll
    for (int n = 0; n < kHalf; ++n) {
      if (slice + n >= kCount) continue;
      tensor_cores::load_matrices_transposed(r, k_row + 8 * n);
      for (int j = 0; j < 2; ++j)
        tensor_cores::multiply_add(dq[n], l[j][0], l[j][1], l[j][2], l[j][3], r[2 * j], r[2 * j + 1]);
    }
  }
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int row = first_query + query + 8 * half + lane / 4;
    if (row >= tokens) continue;
    bf16* const target = dqkv + head.qkv + row * 3 * head.width + 8 * slice + lane % 4 * 2;
#pragma unroll
    for (int n = 0; n < kHalf; ++n)
      if (slice + n < kCount)
        *reinterpret_cast<std::uint32_t*>(target + 8 * n) =
            tensor_cores::pack(dq[n][2 * half] * scale, dq[n][2 * half + 1] * scale);
  }
}

template <int kWidth>
__global__ void __launch_bounds__(kBackwardThreads, 1)
    whole_backward_kernel(AttentionShape shape, const bf16* qkv, const bf16* out, const float* lse, const bf16* dout,
                          bf16* dqkv) {
  constexpr int kRow = Slices<kWidth>::kRow;
  extern __shared__ float4 shared[];
  const int tokens = static_cast<int>(shape.tokens), keys = round_up(tokens, kBlockRows);
  const BackwardMemory<kWidth> memory(shared);
  const Head head(shape);
  const int width = static_cast<int>(head.width);  // within a sample 32 bits are enough
  const auto start_queries = [&](int first) {
    const int buffer = first / kQueries % 2 * kQueries * kRow;
    start_rows<kWidth, kBackwardThreads>(qkv + head.qkv, 3 * width, first, kQueries, tokens, memory.q + buffer);
    start_rows<kWidth, kBackwardThreads>(dout + head.out, width, first, kQueries, tokens, memory.dout + buffer);
  };
  start_rows<kWidth, kBackwardThreads>(qkv + head.qkv + width, 3 * width, 0, keys, tokens, memory.k);
  start_rows<kWidth, kBackwardThreads>(qkv + head.qkv + 2 * width, 3 * width, 0, keys, tokens, memory.v);
  start_queries(0);
  start_statistics(memory, head, tokens, out, lse, dout);

  const int first_key = warp_of_block() * kBlockRows;
  KeyGradients<kWidth> gradients;
#pragma unroll 1
  for (int first = 0; first < tokens; first += kQueries) {
    tensor_cores::wait_for_copies();
    __syncthreads();  // this block of queries is there, and nobody reads the last one's any more
    if (first + kQueries < tokens) start_queries(first + kQueries);
    const int buffer = first / kQueries % 2 * kQueries * kRow;
    if (first_key < tokens) {
#pragma unroll 1
      for (int query = 0; query < kQueries; query += kBlockRows)
        gradients.add(memory, memory.q + buffer, memory.dout + buffer, query, first, first_key, tokens);
    }
    __syncthreads();
    store_queries(memory, head, first, tokens, dqkv);
  }
  if (first_key < tokens) gradients.store(head, first_key, tokens, dqkv);
}

template <int kWidth>
AttentionBackward backward_of(const Cuda& device, const AttentionShape& shape, int shared_bytes) {
  constexpr std::size_t bytes = BackwardMemory<kWidth>::kBytes;
  if (bytes > static_cast<std::size_t>(shared_bytes)) return {};
  void (*const kernel)(AttentionShape, const bf16*, const bf16*, const float*, const bf16*, bf16*) =
      whole_backward_kernel<kWidth>;
  GPUMONTH_CUDA(cudaFuncSetAttribute, kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes));
  const dim3 grid(1, static_cast<unsigned>(shape.heads), static_cast<unsigned>(shape.batch));
  return [=](const bf16* qkv, const bf16* out, const float* log_sum_exp, const bf16* dout, bf16* dqkv) {
    kernel<<<grid, kBackwardThreads, bytes, stream_of(device)>>>(shape, qkv, out, log_sum_exp, dout, dqkv);
    GPUMONTH_CUDA_LAUNCHED();
  };
}

}  // namespace

AttentionBackward whole_attention_backward(const Cuda& device, const AttentionShape& shape) {
  int shared_bytes = 0;
  GPUMONTH_CUDA(cudaDeviceGetAttribute, &shared_bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin,
                device.context->ordinal);
  if (shape.tokens > kMostKeys) return {};
  if (shape.head_dim == 64) return backward_of<64>(device, shape, shared_bytes);
  if (shape.head_dim == 72) return backward_of<72>(device, shape, shared_bytes);
  return {};
}

}  // namespace gpumonth::ops
