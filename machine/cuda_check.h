// CUDA runtime calls, checked in one way everywhere: what failed becomes an exception that says what to do.
#pragma once

#include <cuda_runtime.h>

#include <stdexcept>
#include <string>

namespace gpumonth::machine {

/// `cudaMalloc: out of memory at trainer/ops/cuda/buffer.cu:42 - hint`.
struct CudaError : std::runtime_error {
  using std::runtime_error::runtime_error;
};
/// The GPU's memory is full.
struct CudaOutOfMemory : CudaError {
  using CudaError::CudaError;
};

/// What to do about a failed call, half a sentence.
const char* cuda_hint(cudaError_t status);
/// The text of an error: `call: text at file:line - hint`, the file from the repository's root on.
std::string call_failed(const char* call, const std::string& text, const char* file, int line, const char* hint);

/// Throws CudaError where `status` is not success, and clears the runtime's last error: the next launch check would find
/// it again.
void check_cuda(cudaError_t status, const char* call, const char* file, int line);

}  // namespace gpumonth::machine

// Macros, because the message names the call and the place.
#define GPUMONTH_CUDA(function, ...) \
  ::gpumonth::machine::check_cuda(function(__VA_ARGS__), #function, __FILE__, __LINE__)
/// After a kernel launch: what the launch itself failed with.
#define GPUMONTH_CUDA_LAUNCHED() \
  ::gpumonth::machine::check_cuda(cudaGetLastError(), "kernel launch", __FILE__, __LINE__)
