// What a kernel's thread knows and can do: the CUDA built-ins. Forced in front of every translated .cu file
// (see launches.awk); included by kernel.cpp too.
#pragma once

#include <cuda_runtime.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "tests/emulator/emulator.h"

namespace gpumonth::emulator {

struct ThreadPlace {
  uint3 thread{}, block{};
  dim3 block_size, grid_size;
};
/// Of the thread that runs; of no meaning outside of kernels.
extern thread_local ThreadPlace here;

/// Waits for the block's threads that have not ended.
void wait_for_block();
/// Gives `mine` to the warp, and what lane `from` gave. Every lane of `mask` must take part.
void exchange_in_warp(unsigned mask, unsigned from, const void* mine, void* theirs, std::size_t bytes);
/// Waits until all 32 lanes have come with the same `work`, which is then called once, with what each of them gave.
void together_in_warp(void* mine, void (*work)(void* const* lanes));
/// cp.async: begun copies are made only when a wait asks for them, uncommitted or not. Without `from`: zeros.
void begin_copy(void* to, const void* from, std::size_t bytes);
void make_copies();
/// 32 at most; not the hardware's lane count where a block is smaller.
unsigned lane();
void* dynamic_shared();
/// The device's clock, ns: what %globaltimer is translated to.
std::int64_t clock_ns();
/// As long as __nanosleep(ns) may take at most, twice that: who asks for all that is left comes too late.
void sleep_twice(unsigned ns);

/// What `kernel<<<grid, block, shared, stream>>>(...)` is translated to. Arguments are copied, as in a launch.
struct Launch {
  dim3 grid, block;
  std::size_t shared_bytes;
  cudaStream_t stream;

  explicit Launch(dim3 g, dim3 b, std::size_t s = 0, cudaStream_t on = nullptr)
      : grid(g), block(b), shared_bytes(s), stream(on) {}

  template <class Kernel, class... A>
  void operator()(Kernel kernel, A... arguments) const {
    launch(grid, block, shared_bytes, stream, [=] { kernel(arguments...); });
  }
};

}  // namespace gpumonth::emulator

#define threadIdx (::gpumonth::emulator::here.thread)
#define blockIdx (::gpumonth::emulator::here.block)
#define blockDim (::gpumonth::emulator::here.block_size)
#define gridDim (::gpumonth::emulator::here.grid_size)

// One block at a time runs on a host thread, so a static variable of that thread is the block's. It keeps
// what the block before left in it, as on a GPU.
#undef __shared__
#undef __launch_bounds__
#define __launch_bounds__(...)
#define __shared__ static thread_local

// nvcc has templates for these calls.
template <class Result, class... A>
cudaError_t cudaFuncSetAttribute(Result (*)(A...), cudaFuncAttribute, int) {
  return cudaSuccess;
}
template <class Result, class... A>
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, Result (*kernel)(A...)) {
  return cudaFuncGetAttributes(attributes, reinterpret_cast<const void*>(kernel));
}

/// As many as threads allow.
template <class Result, class... A>
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, Result (*)(A...), int threads, std::size_t) {
  *blocks = threads > 0 ? 2048 / threads : 0;
  return cudaSuccess;
}

inline void __syncthreads() { ::gpumonth::emulator::wait_for_block(); }

inline void __nanosleep(unsigned ns) { ::gpumonth::emulator::sleep_twice(ns); }

template <class T>
T __shfl_xor_sync(unsigned mask, T value, int distance) {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= 16);
  T theirs;
  ::gpumonth::emulator::exchange_in_warp(mask, ::gpumonth::emulator::lane() ^ static_cast<unsigned>(distance), &value,
                                         &theirs, sizeof(T));
  return theirs;
}

template <class T>
T __shfl_sync(unsigned mask, T value, int lane) {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= 16);
  T theirs;
  ::gpumonth::emulator::exchange_in_warp(mask, static_cast<unsigned>(lane), &value, &theirs, sizeof(T));
  return theirs;
}

template <class T>
T __ldg(const T* from) {
  if (reinterpret_cast<std::uintptr_t>(from) % alignof(T) != 0) __builtin_trap();
  return *from;
}

// The fast functions, as CUDA's documentation bounds them: 2 + |1.173 x| units in the last place, and 0 for a divisor
// in (2^126, 2^128).
inline float __expf(float x) { return std::exp2(1.44269504f * x); }
inline float __fdividef(float x, float y) {
  const float size = std::fabs(y);
  return size > 0x1p126f && std::isfinite(y) ? 0 : x / y;
}

template <class T>
T atomicAdd(T* to, T value) {
  const T old = *to;
  *to += value;
  return old;
}
