#include <string>

#include "trainer/ops/cuda/context.h"

namespace gpumonth::ops {
namespace {

constexpr std::size_t kWorkspaceBytes = std::size_t{64} << 20;

__global__ void any_kernel() {}

const char* hint(cudaError_t status) {
  switch (status) {
    case cudaErrorMemoryAllocation:
      return "the GPU's memory is full: fewer samples per rank, a smaller model, or end what else runs on it "
             "(nvidia-smi lists it)";
    case cudaErrorNoKernelImageForDevice:
    case cudaErrorInvalidDeviceFunction:
      return "this program has no code for this GPU: configure with -DCMAKE_CUDA_ARCHITECTURES=<its compute "
             "capability, e.g. 90a>";
    case cudaErrorInsufficientDriver:
    case cudaErrorUnsupportedPtxVersion:
    case cudaErrorCompatNotSupportedOnDevice:
      return "the NVIDIA driver is older than the CUDA Toolkit this program was built with: update the "
             "driver, or build "
             "with an older toolkit";
    case cudaErrorNoDevice:
    case cudaErrorInvalidDevice: return "no such GPU is visible: look at CUDA_VISIBLE_DEVICES and nvidia-smi";
    case cudaErrorDevicesUnavailable:
      return "another process has the GPU for itself: nvidia-smi -q -d COMPUTE shows the mode, nvidia-smi "
             "the process";
    case cudaErrorIllegalAddress:
    case cudaErrorMisalignedAddress:
    case cudaErrorLaunchFailure:
    case cudaErrorAssert:
    case cudaErrorInvalidPc:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorIllegalInstruction:
      return "a kernel enqueued before failed, not this call: CUDA_LAUNCH_BLOCKING=1 and compute-sanitizer "
             "name it";
    case cudaErrorECCUncorrectable:
    case cudaErrorNvlinkUncorrectable:
    case cudaErrorHardwareStackError: return "the hardware is faulty: see Xid lines in dmesg, and take this GPU out";
    case cudaErrorStreamCaptureUnsupported:
    case cudaErrorStreamCaptureInvalidated:
    case cudaErrorStreamCaptureImplicit: return "this call must not be made while a CUDA graph is recorded";
    case cudaErrorStreamCaptureUnjoined:
      return "a stream was forked while a CUDA graph was recorded and not joined again";
    case cudaErrorLaunchOutOfResources:
    case cudaErrorInvalidConfiguration:
    case cudaErrorInvalidValue: return "a fault of gpumonth: please report it with the model and the GPU";
    default: return "`gpumonth doctor` shows GPU, driver and runtime";
  }
}

const char* hint(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_ALLOC_FAILED: return hint(cudaErrorMemoryAllocation);
    case CUBLAS_STATUS_NOT_SUPPORTED:
    case CUBLAS_STATUS_INVALID_VALUE:
      return "cuBLASLt refuses this shape, type or alignment: a fault of gpumonth, please report it";
    case CUBLAS_STATUS_ARCH_MISMATCH:
      return "cuBLASLt has no code for this GPU: use the CUDA Toolkit's own, 12.4 or newer";
    case CUBLAS_STATUS_NOT_INITIALIZED: return "the GPU's memory is full, or driver and libraries do not fit together";
    case CUBLAS_STATUS_EXECUTION_FAILED: return hint(cudaErrorLaunchFailure);
    default: return "`gpumonth doctor` shows GPU, driver and runtime";
  }
}

/// From the repository's root on: what lies before it is of the machine that built.
std::string place(const char* file, int line) {
  std::string path = file;
  for (const char* root : {"/trainer/", "/comm/", "/tests/"}) {
    const auto at = path.rfind(root);
    if (at == std::string::npos) continue;
    path = path.substr(at + 1);
    break;
  }
  return path + ":" + std::to_string(line);
}

std::string message(const char* call, const char* text, const char* file, int line, const char* what_to_do) {
  return std::string(call) + ": " + text + " at " + place(file, line) + " - " + what_to_do;
}

/// The first kernel of a model would say it too, but not which GPU and what to do.
void check_has_code(int ordinal) {
  cudaFuncAttributes attributes{};
  const cudaError_t status = cudaFuncGetAttributes(&attributes, any_kernel);
  if (status == cudaSuccess) return;
  cudaDeviceProp properties{};
  if (status != cudaErrorNoKernelImageForDevice && status != cudaErrorInvalidDeviceFunction)
    check_cuda(status, "cudaFuncGetAttributes", __FILE__, __LINE__);
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
  if (c.stream) (void)cudaStreamDestroy(c.stream);
  (void)cudaGetLastError();
}

}  // namespace

void check_cuda(cudaError_t status, const char* call, const char* file, int line) {
  if (status == cudaSuccess) return;
  (void)cudaGetLastError();
  const std::string text = message(call, cudaGetErrorString(status), file, line, hint(status));
  if (status == cudaErrorMemoryAllocation) throw CudaOutOfMemory(text);
  throw CudaError(text);
}

void check_cublas(cublasStatus_t status, const char* call, const char* file, int line) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  (void)cudaGetLastError();
  const std::string text = message(call, cublasLtGetStatusString(status), file, line, hint(status));
  if (status == CUBLAS_STATUS_ALLOC_FAILED) throw CudaOutOfMemory(text);
  throw CudaError(text);
}

CudaContext::CudaContext(int device_ordinal, bool is_deterministic)
    : ordinal(device_ordinal), deterministic(is_deterministic) {
  try {
    GPUMONTH_CUDA(cudaSetDevice, ordinal);
    GPUMONTH_CUDA(cudaFree, nullptr);  // makes the primary context, so that what fails there is said here
    check_has_code(ordinal);
    int least_urgent = 0, most_urgent = 0;
    GPUMONTH_CUDA(cudaDeviceGetStreamPriorityRange, &least_urgent, &most_urgent);
    // Least: collectives on a stream of their own go first, as backward waits for them in the end.
    GPUMONTH_CUDA(cudaStreamCreateWithPriority, &stream, cudaStreamNonBlocking, least_urgent);
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
