// What a Cuda device handle stands for. Only files of this folder include this.
#pragma once

#include <cublasLt.h>
#include <cuda_runtime.h>

#include <cstddef>
#include <memory>
#include <optional>

#include "machine/cuda_handles.h"
#include "trainer/ops/device.h"

namespace gpumonth::ops {

using machine::CudaError, machine::CudaOutOfMemory;

/// As machine::check_cuda.
void check_cublas(cublasStatus_t status, const char* call, const char* file, int line);

#define GPUMONTH_CUBLAS(function, ...) \
  ::gpumonth::ops::check_cublas(function(__VA_ARGS__), #function, __FILE__, __LINE__)

/// Pinned host memory on its way to the GPU; copy_to_device's own (buffer.cu).
struct StagingRing;

struct CudaContext {
  int ordinal = 0;  ///< of the device, as CUDA_VISIBLE_DEVICES numbers them
  std::optional<machine::CudaStream> owned_stream;
  cudaStream_t stream = nullptr;  ///< that one's: where every op enqueues
  int multiprocessors = 0;
  bool deterministic = false;  ///< no op may depend on the order in which blocks run
  bool use_graphs = true;      ///< StepGraph replays a CUDA graph; false: it calls (debuggers, sanitizers)
  cublasLtHandle_t cublaslt = nullptr;
  void* workspace = nullptr;  ///< for cuBLASLt and cuDNN, one user at a time in stream order
  std::size_t workspace_bytes = 0;
  std::shared_ptr<void> cudnn;           ///< the attention op's own handle, made by it at first use
  std::shared_ptr<StagingRing> staging;  ///< made by copy_to_device at first use

  CudaContext(int ordinal, bool deterministic);  ///< 64 MiB of workspace; throws CudaError
  ~CudaContext();
  CudaContext(const CudaContext&) = delete;
  CudaContext& operator=(const CudaContext&) = delete;
};

inline cudaStream_t stream_of(const Cuda& device) { return device.context->stream; }

}  // namespace gpumonth::ops
