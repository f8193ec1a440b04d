#include <cuda_bf16.h>

#include <algorithm>

#include "comm/nccl/nccl_cast.h"
#include "machine/cuda_check.h"

namespace gpumonth::comm {
namespace {

/// How a value becomes another.
struct Convert {
  __device__ void operator()(float from, __nv_bfloat16& to) const { to = __float2bfloat16_rn(from); }
  __device__ void operator()(__nv_bfloat16 from, float& to) const { to = __bfloat162float(from); }
};
struct CopyOrAdd {
  bool add;
  __device__ void operator()(float from, float& to) const { to = add ? to + from : from; }
};

template <class T>
struct alignas(4 * sizeof(T)) Four {
  T values[4];
};

/// Four at a time where both buffers allow it (`fours` > 0), then what is left.
template <class From, class To, class How>
__global__ void cast_kernel(const From* from, To* to, std::int64_t count, std::int64_t fours, How how) {
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = first; i < fours; i += stride) {
    const Four<From> in = reinterpret_cast<const Four<From>*>(from)[i];
    Four<To> out = reinterpret_cast<Four<To>*>(to)[i];
    for (int j = 0; j < 4; ++j) how(in.values[j], out.values[j]);
    reinterpret_cast<Four<To>*>(to)[i] = out;
  }
  for (std::int64_t i = 4 * fours + first; i < count; i += stride) how(from[i], to[i]);
}

template <class From, class To, class How>
void cast(const From* from, To* to, std::int64_t count, How how, cudaStream_t stream) {
  if (count == 0) return;
  const bool aligned = reinterpret_cast<std::uintptr_t>(from) % sizeof(Four<From>) == 0 &&
                       reinterpret_cast<std::uintptr_t>(to) % sizeof(Four<To>) == 0;
  const std::int64_t fours = aligned ? count / 4 : 0;
  constexpr int kThreads = 256;
  // few blocks: it runs beside backward and is bound by memory
  const std::int64_t blocks =
      std::clamp<std::int64_t>((std::max(fours, count - 4 * fours) + kThreads - 1) / kThreads, 1, 264);
  cast_kernel<<<static_cast<unsigned>(blocks), kThreads, 0, stream>>>(from, to, count, fours, how);
  GPUMONTH_CUDA_LAUNCHED();
}

}  // namespace

void cast_to_bf16(const float* values, void* bf16, std::int64_t count, cudaStream_t stream) {
  cast(values, static_cast<__nv_bfloat16*>(bf16), count, Convert{}, stream);
}

void cast_from_bf16(const void* bf16, float* values, std::int64_t count, cudaStream_t stream) {
  cast(static_cast<const __nv_bfloat16*>(bf16), values, count, Convert{}, stream);
}

void copy_or_add(const float* values, float* to, std::int64_t count, bool add, cudaStream_t stream) {
  cast(values, to, count, CopyOrAdd{add}, stream);
}

}  // namespace gpumonth::comm
