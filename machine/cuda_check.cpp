#include "machine/cuda_check.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace gpumonth::machine {
namespace {

/// From the repository's root on: what lies before it is of the machine that built.
std::string_view within_repository(std::string_view file) {
  constexpr std::array kRooms{"/machine/", "/trainer/", "/comm/", "/tests/"};
  for (const std::string_view room : kRooms)
    if (const auto at = file.rfind(room); at != std::string_view::npos) return file.substr(at + 1);
  return file;
}

}  // namespace

const char* cuda_hint(cudaError_t status) {
  switch (status) {
    case cudaErrorMemoryAllocation:
      return "the GPU's memory is full: fewer samples per rank, a smaller model, or end what else runs on it "
             "(nvidia-smi lists it)";
    case cudaErrorNoKernelImageForDevice:
    case cudaErrorInvalidDeviceFunction:
      return "this program has no code for this GPU: configure with -DCMAKE_CUDA_ARCHITECTURES=<its compute capability, "
             "e.g. 90a>";
    case cudaErrorInsufficientDriver:
    case cudaErrorUnsupportedPtxVersion:
    case cudaErrorCompatNotSupportedOnDevice:
      return "the NVIDIA driver is older than the CUDA Toolkit this program was built with: update the driver, or "
             "build with an older toolkit";
    case cudaErrorNoDevice:
    case cudaErrorInvalidDevice: return "no such GPU is visible: look at CUDA_VISIBLE_DEVICES and nvidia-smi";
    case cudaErrorDevicesUnavailable:
      return "another process has the GPU for itself: nvidia-smi -q -d COMPUTE shows the mode, nvidia-smi the process";
    case cudaErrorIllegalAddress:
    case cudaErrorMisalignedAddress:
    case cudaErrorLaunchFailure:
    case cudaErrorAssert:
    case cudaErrorInvalidPc:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorIllegalInstruction:
      return "a kernel enqueued before failed, not this call: CUDA_LAUNCH_BLOCKING=1 and compute-sanitizer name it";
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

std::string call_failed(const char* call, const std::string& text, const char* file, int line, const char* hint) {
  return std::string(call) + ": " + text + " at " + std::string(within_repository(file)) + ":" + std::to_string(line) +
         " - " + hint;
}

void check_cuda(cudaError_t status, const char* call, const char* file, int line) {
  if (status == cudaSuccess) return;
  static_cast<void>(cudaGetLastError());
  const std::string text = call_failed(call, cudaGetErrorString(status), file, line, cuda_hint(status));
  if (status == cudaErrorMemoryAllocation) throw CudaOutOfMemory(text);
  throw CudaError(text);
}

}  // namespace gpumonth::machine
