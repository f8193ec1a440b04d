#include <string>

#include "trainer/ops/cuda/context.h"

namespace gpumonth::ops {
namespace {

constexpr std::size_t kWorkspaceBytes = std::size_t{64} << 20;

__global__ void any_kernel() {}

const char* hint(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_ALLOC_FAILED: return machine::cuda_hint(cudaErrorMemoryAllocation);
    case CUBLAS_STATUS_NOT_SUPPORTED:
    case CUBLAS_STATUS_INVALID_VALUE:
      return "cuBLASLt refuses this shape, type or alignment: a fault of gpumonth, please report it";
    case CUBLAS_STATUS_ARCH_MISMATCH:
      return "cuBLASLt has no code for this GPU: use the CUDA Toolkit's own, 12.4 or newer";
    case CUBLAS_STATUS_NOT_INITIALIZED: return "the GPU's memory is full, or driver and libraries do not fit together";
    case CUBLAS_STATUS_EXECUTION_FAILED: return machine::cuda_hint(cudaErrorLaunchFailure);
    default: return "`gpumonth doctor` shows GPU, driver and runtime";
  }
}

/// The first kernel of a model would say it too, but not which GPU and what to do.
void check_has_code(int ordinal) {
  cudaFuncAttributes attributes{};
  const cudaError_t status = cudaFuncGetAttributes(&attributes, any_kernel);
  if (status == cudaSuccess) return;
  cudaDeviceProp properties{};
  if (status != cudaErrorNoKernelImageForDevice && status != cudaErrorInvalidDeviceFunction)
    machine::check_cuda(status, "cudaFuncGetAttributes", __FILE__, __LINE__);
  (void)cudaGetLastError();
  GPUMONTH_CUDA(cudaGetDeviceProperties, &properties, ordinal);
  const std::string capability = std::to_string(properties.major) + std::to_string(properties.minor);
  throw CudaError(std::string("this program has no code for ") + properties.name + " (compute capability " +
                  std::to_string(properties.major) + "." + std::to_string(properties.minor) +
                  "): configure with -DCMAKE_CUDA_ARCHITECTURES=" + capability);
}

/// Errors are left alone: something else has gone wrong already, or the program ends.
void tear_down(CudaContext& c) {
  if (c.stream) (void)cudaStreamSynchronize(c.stream);
  c.staging.reset();
  c.cudnn.reset();
  if (c.cublaslt) (void)cublasLtDestroy(c.cublaslt);
  if (c.workspace) (void)cudaFree(c.workspace);
  c.owned_stream.reset();
  (void)cudaGetLastError();
}

}  // namespace

void check_cublas(cublasStatus_t status, const char* call, const char* file, int line) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  (void)cudaGetLastError();
  const std::string text = machine::call_failed(call, cublasLtGetStatusString(status), file, line, hint(status));
  if (status == CUBLAS_STATUS_ALLOC_FAILED) throw CudaOutOfMemory(text);
  throw CudaError(text);
}

CudaContext::CudaContext(int device_ordinal, bool is_deterministic)
    : ordinal(device_ordinal), deterministic(is_deterministic) {
  try {
    GPUMONTH_CUDA(cudaSetDevice, ordinal);
    GPUMONTH_CUDA(cudaFree, nullptr);  // makes the primary context, so that what fails there is said here
    check_has_code(ordinal);
    // Collectives on a stream of their own go first, as backward waits for them in the end.
    owned_stream.emplace(machine::Urgency::least);
    stream = owned_stream->get();
    GPUMONTH_CUDA(cudaDeviceGetAttribute, &multiprocessors, cudaDevAttrMultiProcessorCount, ordinal);
    GPUMONTH_CUBLAS(cublasLtCreate, &cublaslt);
    GPUMONTH_CUDA(cudaMalloc, &workspace, kWorkspaceBytes);
    workspace_bytes = kWorkspaceBytes;
  } catch (...) {
    tear_down(*this);
    throw;
  }
}

CudaContext::~CudaContext() { tear_down(*this); }

}  // namespace gpumonth::ops
