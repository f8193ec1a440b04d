#include <cuda_runtime.h>

#include <cstdio>

#include "machine/cuda_devices.h"

namespace gpumonth::machine {
namespace {

std::string version_text(int version) {  // 12040 -> "12.4"
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

std::string uuid_text(const cudaUUID_t& uuid) {
  std::string text = "GPU-";
  for (int i = 0; i < 16; ++i) {
    char digits[3];
    std::snprintf(digits, sizeof digits, "%02x", static_cast<unsigned>(static_cast<unsigned char>(uuid.bytes[i])));
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += digits;
  }
  return text;
}

CudaDevice describe(int ordinal, const cudaDeviceProp& properties) {
  CudaDevice device;
  device.name = properties.name;
  device.compute_capability = std::to_string(properties.major) + "." + std::to_string(properties.minor);
  device.memory_bytes = static_cast<std::int64_t>(properties.totalGlobalMem);
  device.uuid = uuid_text(properties.uuid);
  char pci_id[32] = "";
  if (cudaDeviceGetPCIBusId(pci_id, sizeof pci_id, ordinal) == cudaSuccess) device.pci_id = pci_id;
  device.multiprocessors = properties.multiProcessorCount;
  return device;
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
    found.devices.push_back(describe(i, properties));
  }
  if (found.devices.empty()) found.why_none = "no GPU used: the driver shows none (CUDA_VISIBLE_DEVICES?)";
  return found;
}

}  // namespace gpumonth::machine
