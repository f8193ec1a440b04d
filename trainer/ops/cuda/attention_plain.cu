// Tiled attention in fp32, as in FlashAttention (Dao, arXiv:2307.08691): forward with a running maximum and
// sum, backward in two kernels, one per tile of queries and one per tile of keys, so that no sum crosses blocks.
#include <cuda_runtime.h>

#include <cmath>
#include <string>

#include "trainer/ops/cuda/attention_plain.h"
#include "trainer/ops/cuda/attention_tiles.h"
#include "trainer/ops/math.h"

namespace gpumonth::ops {
namespace {

using namespace attention;

template <class T, int kWidth, int kTile>
__global__ void __launch_bounds__(kThreads, 2) forward_kernel(AttentionShape shape, const T* qkv, T* out, float* lse) {
  using L = Tiles<kWidth, kTile>;
  extern __shared__ float4 shared[];
  float* q = reinterpret_cast<float*>(shared);
  float *k = q + L::kTileFloats, *v = k + L::kTileFloats, *weights = v + L::kTileFloats;
  const int x = static_cast<int>(threadIdx.x) % kSide, y = static_cast<int>(threadIdx.x) / kSide;
  const Head head(shape);
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * kTile;
  const float scale = score_scale(shape);

  float sum[L::kRows][L::kColumns] = {}, highest[L::kRows], denominator[L::kRows] = {};
  for (int i = 0; i < L::kRows; ++i) highest[i] = -INFINITY;
  load_tile<kWidth, kTile>(qkv + head.qkv, 3 * head.width, first, shape, q);
  for (std::int64_t key = 0; key < shape.tokens; key += kTile) {
    __syncthreads();  // the last tile has been used
    load_tile<kWidth, kTile>(qkv + head.qkv + head.width, 3 * head.width, key, shape, k);
    load_tile<kWidth, kTile>(qkv + head.qkv + 2 * head.width, 3 * head.width, key, shape, v);
    __syncthreads();
    float s[L::kRows][L::kRows];
    product_transposed<kWidth, kTile>(q, k, s);
    for (int i = 0; i < L::kRows; ++i) {
      float largest = -INFINITY;
      for (int j = 0; j < L::kRows; ++j) {
        s[i][j] = key + x + kSide * j < shape.tokens ? s[i][j] * scale : -INFINITY;
        largest = fmaxf(largest, s[i][j]);
      }
      largest = fmaxf(highest[i], max_of_row(largest));  // finite: a tile has at least one key
      const float shrink = fast_exp(highest[i] - largest);
      float total = 0.0f;
      for (int j = 0; j < L::kRows; ++j) {
        s[i][j] = key + x + kSide * j < shape.tokens ? fast_exp(s[i][j] - largest) : 0.0f;
        total += s[i][j];
      }
      denominator[i] = denominator[i] * shrink + sum_of_row(total);
      for (int u = 0; u < L::kColumns; ++u) sum[i][u] *= shrink;
      highest[i] = largest;
    }
    store_weights<kWidth, kTile>(s, weights);
    __syncthreads();
    add_product<kWidth, kTile>(weights, v, sum);
  }
  for (int i = 0; i < L::kRows; ++i) {
    const float inverse = 1.0f / denominator[i];
    for (int u = 0; u < L::kColumns; ++u) sum[i][u] *= inverse;
    const std::int64_t row = first + y + kSide * i;
    if (x == 0 && row < shape.tokens) lse[head.row + row] = highest[i] + std::log(denominator[i]);
  }
  store_rows<T, kWidth, kTile>(sum, shape, first, head.width, out + head.out);
}

/// dQ, and dot = sum_j dO_j O_j of each query for the other kernel.
template <class T, int kWidth, int kTile>
__global__ void __launch_bounds__(kThreads, 2)
    backward_queries_kernel(AttentionShape shape, const T* qkv, const T* out, const float* lse, const T* dout,
                            float* dot, T* dqkv) {
  using L = Tiles<kWidth, kTile>;
  extern __shared__ float4 shared[];
  float* q = reinterpret_cast<float*>(shared);
  float *go = q + L::kTileFloats, *k = go + L::kTileFloats, *v = k + L::kTileFloats, *weights = v + L::kTileFloats;
  const int x = static_cast<int>(threadIdx.x) % kSide, y = static_cast<int>(threadIdx.x) / kSide;
  const Head head(shape);
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * kTile;
  const float scale = score_scale(shape);

  load_tile<kWidth, kTile>(qkv + head.qkv, 3 * head.width, first, shape, q);
  load_tile<kWidth, kTile>(dout + head.out, head.width, first, shape, go);
  __syncthreads();
  float offset[L::kRows], mean[L::kRows];
  for (int i = 0; i < L::kRows; ++i) {
    const std::int64_t row = first + y + kSide * i;
    const bool inside = row < shape.tokens;
    float total = 0.0f;
    for (int column = x; column < shape.head_dim; column += kSide)
      if (inside)
        total += to_float(out[head.out + row * head.width + column]) * go[(y + kSide * i) * L::kStride + column];
    mean[i] = sum_of_row(total);
    offset[i] = inside ? lse[head.row + row] : 0.0f;
    if (x == 0 && inside) dot[head.row + row] = mean[i];
  }

  float dq[L::kRows][L::kColumns] = {};
  for (std::int64_t key = 0; key < shape.tokens; key += kTile) {
    __syncthreads();
    load_tile<kWidth, kTile>(qkv + head.qkv + head.width, 3 * head.width, key, shape, k);
    load_tile<kWidth, kTile>(qkv + head.qkv + 2 * head.width, 3 * head.width, key, shape, v);
    __syncthreads();
    float s[L::kRows][L::kRows], dp[L::kRows][L::kRows];
    product_transposed<kWidth, kTile>(q, k, s);
    product_transposed<kWidth, kTile>(go, v, dp);
    for (int i = 0; i < L::kRows; ++i)
      for (int j = 0; j < L::kRows; ++j) {
        const bool inside = first + y + kSide * i < shape.tokens && key + x + kSide * j < shape.tokens;
        s[i][j] = inside ? fast_exp(s[i][j] * scale - offset[i]) * (dp[i][j] - mean[i]) * scale : 0.0f;
      }
    store_weights<kWidth, kTile>(s, weights);
    __syncthreads();
    add_product<kWidth, kTile>(weights, k, dq);
  }
  store_rows<T, kWidth, kTile>(dq, shape, first, 3 * head.width, dqkv + head.qkv);
}

/// dK and dV of a tile of keys. Scores are held transposed: rows are keys.
template <class T, int kWidth, int kTile>
__global__ void __launch_bounds__(kThreads, 2)
    backward_keys_kernel(AttentionShape shape, const T* qkv, const float* lse, const float* dot, const T* dout,
                         T* dqkv) {
  using L = Tiles<kWidth, kTile>;
  extern __shared__ float4 shared[];
  float* k = reinterpret_cast<float*>(shared);
  float *v = k + L::kTileFloats, *q = v + L::kTileFloats, *go = q + L::kTileFloats, *weights = go + L::kTileFloats;
  const int x = static_cast<int>(threadIdx.x) % kSide, y = static_cast<int>(threadIdx.x) / kSide;
  const Head head(shape);
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * kTile;
  const float scale = score_scale(shape);

  load_tile<kWidth, kTile>(qkv + head.qkv + head.width, 3 * head.width, first, shape, k);
  load_tile<kWidth, kTile>(qkv + head.qkv + 2 * head.width, 3 * head.width, first, shape, v);
  float dk[L::kRows][L::kColumns] = {}, dv[L::kRows][L::kColumns] = {};
  for (std::int64_t query = 0; query < shape.tokens; query += kTile) {
    __syncthreads();
    load_tile<kWidth, kTile>(qkv + head.qkv, 3 * head.width, query, shape, q);
    load_tile<kWidth, kTile>(dout + head.out, head.width, query, shape, go);
    __syncthreads();
    float p[L::kRows][L::kRows], ds[L::kRows][L::kRows];
    product_transposed<kWidth, kTile>(k, q, p);
    product_transposed<kWidth, kTile>(v, go, ds);
    for (int j = 0; j < L::kRows; ++j) {
      const std::int64_t row = query + x + kSide * j;
      const float offset = row < shape.tokens ? lse[head.row + row] : 0.0f;
      const float mean = row < shape.tokens ? dot[head.row + row] : 0.0f;
      for (int i = 0; i < L::kRows; ++i) {
        const bool inside = row < shape.tokens && first + y + kSide * i < shape.tokens;
        p[i][j] = inside ? fast_exp(p[i][j] * scale - offset) : 0.0f;
        ds[i][j] = p[i][j] * (ds[i][j] - mean) * scale;
      }
    }
    store_weights<kWidth, kTile>(p, weights);
    __syncthreads();
    add_product<kWidth, kTile>(weights, go, dv);
    __syncthreads();
    store_weights<kWidth, kTile>(ds, weights);
    __syncthreads();
    add_product<kWidth, kTile>(weights, q, dk);
  }
  store_rows<T, kWidth, kTile>(dk, shape, first, 3 * head.width, dqkv + head.qkv + head.width);
  store_rows<T, kWidth, kTile>(dv, shape, first, 3 * head.width, dqkv + head.qkv + 2 * head.width);
}

}  // namespace

template <class T>
template <int kWidth, int kTile>
bool PlainAttention<T>::use(int shared_bytes_per_block) {
  using L = Tiles<kWidth, kTile>;
  const std::size_t available = static_cast<std::size_t>(shared_bytes_per_block);
  if (forward_ || shape_.head_dim > kWidth || L::bytes(4) > available) return forward_ != nullptr;
  tile_ = kTile;
  forward_bytes_ = L::bytes(3);
  backward_bytes_ = L::bytes(4);
  forward_ = forward_kernel<T, kWidth, kTile>;
  backward_queries_ = backward_queries_kernel<T, kWidth, kTile>;
  backward_keys_ = backward_keys_kernel<T, kWidth, kTile>;
  const auto attribute = cudaFuncAttributeMaxDynamicSharedMemorySize;  // beyond 48 KiB a kernel must ask
  GPUMONTH_CUDA(cudaFuncSetAttribute, forward_, attribute, static_cast<int>(forward_bytes_));
  GPUMONTH_CUDA(cudaFuncSetAttribute, backward_queries_, attribute, static_cast<int>(backward_bytes_));
  GPUMONTH_CUDA(cudaFuncSetAttribute, backward_keys_, attribute, static_cast<int>(backward_bytes_));
  return true;
}

template <class T>
PlainAttention<T>::PlainAttention(Cuda& device, const AttentionShape& shape) : device_(device), shape_(shape) {
  if (shape.backward) dot_ = Buffer<Cuda, float>(device_, shape.batch * shape.heads * shape.tokens);
  int shared_bytes = 0;
  GPUMONTH_CUDA(cudaDeviceGetAttribute, &shared_bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin,
                device.context->ordinal);
  // The widest tiles first that the head fits in; 101 KiB of the 80-wide ones are too much for consumer devices.
  use<32, 64>(shared_bytes) || use<64, 64>(shared_bytes) || use<80, 64>(shared_bytes) || use<128, 32>(shared_bytes) ||
      use<256, 16>(shared_bytes);
  if (!forward_)
    throw CudaError("attention: heads of " + std::to_string(shape.head_dim) + " do not fit into the " +
                    std::to_string(shared_bytes) + " bytes of shared memory that a block has on device " +
                    std::to_string(device.context->ordinal));
}

template <class T>
void PlainAttention<T>::forward(const T* qkv, T* out, float* log_sum_exp) {
  const dim3 grid(static_cast<unsigned>((shape_.tokens + tile_ - 1) / tile_), static_cast<unsigned>(shape_.heads),
                  static_cast<unsigned>(shape_.batch));
  forward_<<<grid, kThreads, forward_bytes_, stream_of(device_)>>>(shape_, qkv, out, log_sum_exp);
  GPUMONTH_CUDA_LAUNCHED();
}

template <class T>
void PlainAttention<T>::backward(const T* qkv, const T* out, const float* log_sum_exp, const T* dout, T* dqkv) {
  const dim3 grid(static_cast<unsigned>((shape_.tokens + tile_ - 1) / tile_), static_cast<unsigned>(shape_.heads),
                  static_cast<unsigned>(shape_.batch));
  backward_queries_<<<grid, kThreads, backward_bytes_, stream_of(device_)>>>(shape_, qkv, out, log_sum_exp, dout,
                                                                             dot_.get(), dqkv);
  GPUMONTH_CUDA_LAUNCHED();
  backward_keys_<<<grid, kThreads, backward_bytes_, stream_of(device_)>>>(shape_, qkv, log_sum_exp, dot_.get(), dout,
                                                                          dqkv);
  GPUMONTH_CUDA_LAUNCHED();
}

template class PlainAttention<float>;
template class PlainAttention<bf16>;

}  // namespace gpumonth::ops
