// The GPUs that this process sees, for doctor. One of two source files is built: with CUDA or without.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace gpumonth::machine {

struct CudaDevice {
  std::string name;
  std::string compute_capability;  ///< "9.0"
  std::int64_t memory_bytes = 0;
  std::string uuid;    ///< "GPU-5b6cbd39-...", as nvidia-smi -L prints it
  std::string pci_id;  ///< "0000:1b:00.0"
  int multiprocessors = 0;
};

struct CudaDevices {
  bool built = false;           ///< this program has CUDA parts
  std::string why_none;         ///< one line where `devices` is empty
  std::string driver, runtime;  ///< CUDA versions: the newest that the driver knows, and ours, "12.4"; "": unknown
  std::vector<CudaDevice> devices;
};

CudaDevices cuda_devices();

}  // namespace gpumonth::machine
