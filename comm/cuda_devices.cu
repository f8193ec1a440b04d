#include <cuda_runtime.h>

#include "comm/cuda_devices.h"

namespace gpumonth::comm {
namespace {

std::string version_text(int version) {  // 12040 -> "12.4"
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

}  // namespace

CudaDevices cuda_devices() {
  CudaDevices found;
  found.built = true;
  int version = 0, count = 0;
  if (cudaRuntimeGetVersion(&version) == cudaSuccess) found.runtime = version_text(version);
  if (cudaDriverGetVersion(&version) == cudaSuccess && version > 0) found.driver = version_text(version);
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess) {
    found.why_none = found.driver.empty() ? "no GPU used: no NVIDIA driver here"
                                          : std::string("no GPU used: ") + cudaGetErrorString(status);
    return found;
  }
  for (int i = 0; i < count; ++i) {
    cudaDeviceProp properties{};
    if (cudaGetDeviceProperties(&properties, i) != cudaSuccess) continue;
    found.devices.push_back({properties.name,
                             std::to_string(properties.major) + "." + std::to_string(properties.minor),
                             static_cast<std::int64_t>(properties.totalGlobalMem)});
  }
  if (found.devices.empty()) found.why_none = "no GPU used: the driver shows none (CUDA_VISIBLE_DEVICES?)";
  return found;
}

}  // namespace gpumonth::comm
