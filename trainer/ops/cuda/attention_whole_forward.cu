// Forward of whole-head attention. A warp goes over all keys with 32 queries, which stay in its registers.
#include <cmath>

#include "trainer/ops/cuda/attention_fragments.h"
#include "trainer/ops/cuda/attention_whole.h"
#include "trainer/ops/math.h"

namespace gpumonth::ops {
namespace {

using namespace attention;

constexpr int kForwardThreads = 128;  // four warps; three blocks share a multiprocessor where 256 keys let them
constexpr int kForwardBlocks = 3;

/// Running softmax of a lane's four rows of 32, 16 m + 8 half + lane / 4.
struct RunningSoftmax {
  float highest[2][2], sum[2][2];  // scores as multiplied, before scaling; this lane's part of the sum

  __device__ RunningSoftmax() {
    for (int m = 0; m < 2; ++m)
      for (int half = 0; half < 2; ++half) highest[m][half] = -INFINITY, sum[m][half] = 0.0f;
  }

  /// Scores become weights relative to the new maximum; `result` shrinks to it. factor = log2(e) / sqrt(d).
  template <int kCount>
  __device__ void add(const Tile& s, float factor, float (&result)[2][kCount][4], PackedTile& weights) {
#pragma unroll
    for (int m = 0; m < 2; ++m)
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        float largest = highest[m][half];
#pragma unroll
        for (int n = 0; n < 4; ++n) largest = fmaxf(largest, fmaxf(s[m][n][2 * half], s[m][n][2 * half + 1]));
        largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 1));
        largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 2));  // finite: 32 keys have one at least
        const float shrink = tensor_cores::exp2_fast((highest[m][half] - largest) * factor), offset = largest * factor;
        float total = 0.0f;
#pragma unroll
        for (int n = 0; n < 4; ++n) {
          const float first = tensor_cores::exp2_fast(s[m][n][2 * half] * factor - offset);
          const float second = tensor_cores::exp2_fast(s[m][n][2 * half + 1] * factor - offset);
          total += first + second;
          weights[m][n / 2][n % 2 * 2 + half] = tensor_cores::pack(first, second);
        }
        highest[m][half] = largest;
        sum[m][half] = sum[m][half] * shrink + total;
#pragma unroll
        for (int n = 0; n < kCount; ++n) result[m][n][2 * half] *= shrink, result[m][n][2 * half + 1] *= shrink;
      }
  }

  /// Of the four lanes that have the row.
  __device__ float whole_sum(int m, int half) const {
    float total = sum[m][half];
    total += __shfl_xor_sync(0xffffffffu, total, 1);
    return total + __shfl_xor_sync(0xffffffffu, total, 2);
  }
};

/// 32 rows of Q from global memory; rows beyond the last token are copies of it.
template <int kWidth>
__device__ void load_queries(const bf16* source, int stride, int first, int tokens, LeftInRegisters<kWidth>& q) {
  const int row = first + lane_of_warp() / 4, column = lane_of_warp() % 4 * 2;
#pragma unroll
  for (int r = 0; r < 4; ++r) {
    const int token = row + 8 * r < tokens ? row + 8 * r : tokens - 1;
    const bf16* at = source + token * stride + column;
    const auto pair = [at](int slice) { return *reinterpret_cast<const std::uint32_t*>(at + 8 * slice); };
#pragma unroll
    for (int i = 0; i < kWidth / 16; ++i)
      for (int half = 0; half < 2; ++half) q.blocks[i][r / 2][2 * half + r % 2] = pair(2 * i + half);
    if constexpr (kWidth % 16 == 8) q.slice[r] = pair(kWidth / 8 - 1);
  }
}

/// Keys beyond the last token get no weight.
__device__ inline void hide_keys(Tile& s, int first, int tokens) {
#pragma unroll
  for (int n = 0; n < 4; ++n)
#pragma unroll
    for (int i = 0; i < 4; ++i)
      if (first + 8 * n + lane_of_warp() % 4 * 2 + i % 2 >= tokens) s[0][n][i] = s[1][n][i] = -INFINITY;
}

template <int kWidth>
__global__ void __launch_bounds__(kForwardThreads, kForwardBlocks)
    whole_forward_kernel(AttentionShape shape, const bf16* qkv, bf16* out, float* lse) {
  constexpr int kCount = Slices<kWidth>::kCount, kRow = Slices<kWidth>::kRow;
  extern __shared__ float4 shared[];
  const int tokens = static_cast<int>(shape.tokens), keys = round_up(tokens, kBlockRows);
  bf16* const k = reinterpret_cast<bf16*>(shared);  // (keys, kRow)
  bf16* const v = k + keys * kRow;
  const Head head(shape);
  const int width = static_cast<int>(head.width);  // within a sample 32 bits are enough
  start_rows<kWidth, kForwardThreads>(qkv + head.qkv + width, 3 * width, 0, keys, tokens, k);
  start_rows<kWidth, kForwardThreads>(qkv + head.qkv + 2 * width, 3 * width, 0, keys, tokens, v);
  tensor_cores::wait_for_copies();
  __syncthreads();

  constexpr float scale = kScoreScale<kWidth>, factor = kLog2E * scale;
  const int lane = lane_of_warp(), warp = warp_of_block();
  const RightRows<kWidth> k_rows(k);
  const SharedRow v_row(v + lane * kRow);
  for (int first = warp * kBlockRows; first < tokens; first += kForwardThreads / kWarpLanes * kBlockRows) {
    LeftInRegisters<kWidth> q;
    load_queries(qkv + head.qkv, 3 * width, first, tokens, q);
    RunningSoftmax softmax;
    float sum[2][kCount][4] = {};
#pragma unroll 1
    for (int key = 0; key < keys; key += kBlockRows) {
      Tile s = {};
      add_rows_product(s, q, k_rows + key);
      if (key + kBlockRows > tokens) hide_keys(s, key, tokens);
      PackedTile weights;
      softmax.add(s, factor, sum, weights);
      add_weighted_rows(sum, weights, v_row + key * kRow);
    }
#pragma unroll
    for (int m = 0; m < 2; ++m)
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const float log_of_sum = fast_log(softmax.whole_sum(m, half));
        const float inverse = tensor_cores::exp2_fast(-kLog2E * log_of_sum);  // a division would be a call
        const int row = first + 16 * m + 8 * half + lane / 4;
        if (row >= tokens) continue;
        if (lane % 4 == 0) lse[head.row + row] = softmax.highest[m][half] * scale + log_of_sum;
        store_row(sum[m], half, inverse, out + head.out + row * width);
      }
  }
}

template <int kWidth>
AttentionForward forward_of(const Cuda& device, const AttentionShape& shape, int shared_bytes) {
  const int keys = round_up(static_cast<int>(shape.tokens), kBlockRows);
  const std::size_t bytes = 2 * sizeof(bf16) * static_cast<std::size_t>(keys * Slices<kWidth>::kRow);
  if (bytes > static_cast<std::size_t>(shared_bytes)) return {};
  void (*const kernel)(AttentionShape, const bf16*, bf16*, float*) = whole_forward_kernel<kWidth>;
  GPUMONTH_CUDA(cudaFuncSetAttribute, kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes));
  const dim3 grid(1, static_cast<unsigned>(shape.heads), static_cast<unsigned>(shape.batch));
  return [=](const bf16* qkv, bf16* out, float* log_sum_exp) {
    kernel<<<grid, kForwardThreads, bytes, stream_of(device)>>>(shape, qkv, out, log_sum_exp);
    GPUMONTH_CUDA_LAUNCHED();
  };
}

}  // namespace

AttentionForward whole_attention_forward(const Cuda& device, const AttentionShape& shape) {
  constexpr std::int64_t kMostTokens = 1024;  // more fit nowhere
  int shared_bytes = 0;
  GPUMONTH_CUDA(cudaDeviceGetAttribute, &shared_bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin,
                device.context->ordinal);
  if (shape.tokens > kMostTokens) return {};
  if (shape.head_dim == 64) return forward_of<64>(device, shape, shared_bytes);
  if (shape.head_dim == 72) return forward_of<72>(device, shape, shared_bytes);
  return {};
}

}  // namespace gpumonth::ops
