// What the elementwise and reducing kernels share: pieces of rows that a thread moves with one instruction
// and computes with in fp32, sums within a warp or block in a fixed order, and the launch of one thread per
// piece. Only files of this folder include this.
#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <cstdint>
#include <type_traits>

#include "trainer/ops/bf16.h"
#include "trainer/ops/cuda/context.h"

namespace gpumonth::ops {

template <int Bytes>
struct RawBytes;
template <>
struct RawBytes<16> {
  using type = uint4;
};
template <>
struct RawBytes<8> {
  using type = uint2;
};
template <>
struct RawBytes<4> {
  using type = unsigned;
};
template <>
struct RawBytes<2> {
  using type = unsigned short;
};

/// N elements of T as they lie in memory, aligned to N * sizeof(T) bytes, 16 at most.
template <class T, int N>
using Raw = typename RawBytes<N* static_cast<int>(sizeof(T))>::type;

/// Elements of T in 16 bytes.
template <class T>
constexpr int kVector = 16 / static_cast<int>(sizeof(T));

template <class Word, int N>
struct WordArray {
  Word at[N];
};

template <class T, int N>
__device__ __forceinline__ Raw<T, N> load(const T* from) {
  return *reinterpret_cast<const Raw<T, N>*>(from);
}

/// From memory that the kernel does not write: such loads may be moved ahead of its stores.
template <class T, int N>
__device__ __forceinline__ Raw<T, N> load_constant(const T* from) {
  return __ldg(reinterpret_cast<const Raw<T, N>*>(from));
}

template <class T, int N>
__device__ __forceinline__ void widen(const Raw<T, N>& raw, float (&to)[N]) {
  if constexpr (std::is_same_v<T, float>) {
    const auto values = __builtin_bit_cast(WordArray<float, N>, raw);
#pragma unroll
    for (int i = 0; i < N; ++i) to[i] = values.at[i];
  } else if constexpr (N == 1) {
    to[0] = to_float(bf16{raw});
  } else {
    const auto pairs = __builtin_bit_cast(WordArray<unsigned, N / 2>, raw);
#pragma unroll
    for (int i = 0; i < N / 2; ++i) {
      to[2 * i] = __builtin_bit_cast(float, pairs.at[i] << 16);
      to[2 * i + 1] = __builtin_bit_cast(float, pairs.at[i] & 0xffff0000u);
    }
  }
}

/// Two values rounded to nearest even, `low` in the lower half: from_float() in one instruction. Only a NaN's
/// payload differs.
__device__ __forceinline__ unsigned narrow_pair(float low, float high) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  return *reinterpret_cast<const unsigned*>(&pair);
}

template <class T, int N>
__device__ __forceinline__ Raw<T, N> narrow(const float (&from)[N]) {
  if constexpr (std::is_same_v<T, float>) {
    WordArray<float, N> values;
#pragma unroll
    for (int i = 0; i < N; ++i) values.at[i] = from[i];
    return __builtin_bit_cast(Raw<T, N>, values);
  } else if constexpr (N == 1) {
    return from_float<bf16>(from[0]).bits;
  } else {
    WordArray<unsigned, N / 2> pairs;
#pragma unroll
    for (int i = 0; i < N / 2; ++i) pairs.at[i] = narrow_pair(from[2 * i], from[2 * i + 1]);
    return __builtin_bit_cast(Raw<T, N>, pairs);
  }
}

/// N elements at `from` in fp32.
template <int N, class T>
__device__ __forceinline__ void read(const T* from, float (&to)[N]) {
  widen<T, N>(load<T, N>(from), to);
}

template <int N, class T>
__device__ __forceinline__ void read_constant(const T* from, float (&to)[N]) {
  widen<T, N>(load_constant<T, N>(from), to);
}

/// N values rounded to T at `to`.
template <int N, class T>
__device__ __forceinline__ void write(T* to, const float (&from)[N]) {
  *reinterpret_cast<Raw<T, N>*>(to) = narrow<T, N>(from);
}

/// Whether pieces of N elements may be used at every one of these pointers; a null pointer is no obstacle.
template <int N, class... T>
bool aligned(const T*... pointers) {
  return ((reinterpret_cast<std::uintptr_t>(pointers) % (N * sizeof(T)) == 0) && ...);
}

/// The sum over a warp's lanes, the same bits in each.
template <class T>
__device__ __forceinline__ T warp_sum(T value) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) value += __shfl_xor_sync(0xffffffffu, value, distance);
  return value;
}

/// The sum over a block of whole warps, the same bits in every thread. `shared` holds one T per warp and is
/// used by no other sum of this kernel, unless a barrier lies between.
template <class T>
__device__ __forceinline__ T block_sum(T value, T* shared) {
  value = warp_sum(value);
  const unsigned warps = blockDim.x / 32;
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = value;
  __syncthreads();
  T sum = 0;
  for (unsigned w = 0; w < warps; ++w) sum += shared[w];
  return sum;
}

constexpr int kBlockThreads = 256;

inline unsigned blocks_for(std::int64_t n, std::int64_t per_block) {
  return static_cast<unsigned>((n + per_block - 1) / per_block);
}

template <int N, class F>
__global__ void __launch_bounds__(kBlockThreads) elementwise_kernel(std::int64_t n, F f) {
  std::int64_t i = (std::int64_t{blockIdx.x} * kBlockThreads + threadIdx.x) * N;
  if (i + N <= n) {
    f.template operator()<N>(i);
  } else {
    for (; i < n; ++i) f.template operator()<1>(i);
  }
}

/// f.operator()<N>(i) does elements i .. i + N - 1, in vectors of N where `vectors`, else one by one.
template <int N, class F>
void elementwise(Cuda& cuda, std::int64_t n, bool vectors, const F& f) {
  if (n <= 0) return;
  if (vectors) {
    elementwise_kernel<N><<<blocks_for(n, N * kBlockThreads), kBlockThreads, 0, stream_of(cuda)>>>(n, f);
  } else {
    elementwise_kernel<1><<<blocks_for(n, kBlockThreads), kBlockThreads, 0, stream_of(cuda)>>>(n, f);
  }
  GPUMONTH_CUDA_LAUNCHED();
}

}  // namespace gpumonth::ops
