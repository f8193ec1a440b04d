// The op seam. An op is a header with its contract, one file in cpu/ and one in cuda/; the model is written once over
// `template <class Device>` and calls `op(device, ...)`. The header declares one overload for each device; where an op
// takes several element types it is a template over T, and the last lines of each backend's file instantiate it for them.
// An op that is a class (Linear, Attention) forwards to an XImpl<Device, T> of the backend's file; x_impl.h does that.
// The arithmetic of one element lives in trainer/ops/math.h, which both backends call.
//
// All sizes are std::int64_t element counts, all pointers are device pointers (host memory for Cpu), row-major.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace gpumonth::ops {

/// CPU ranks: OpenMP threads; `threads` is what parallel_for and oneDNN use.
struct Cpu {
  static constexpr bool kPacksWeights = true;  ///< matrix products read a layout of their own, not (out, in)
  static constexpr bool kHostMemory = true;    ///< device pointers are host pointers
  int threads = 1;
};

/// One GPU: stream, library handles and workspace are in ops/cuda/context.h, which only files of that folder include.
/// Copies share the context. Ops enqueue work on its stream and return.
struct CudaContext;
struct Cuda {
  static constexpr bool kPacksWeights = false;
  static constexpr bool kHostMemory = false;
  std::shared_ptr<CudaContext> context;
};

}  // namespace gpumonth::ops
