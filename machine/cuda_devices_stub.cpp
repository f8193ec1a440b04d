#include "machine/cuda_devices.h"

namespace gpumonth::machine {

CudaDevices cuda_devices() {
  return {.built = false,
          .why_none = "CUDA not built (no nvcc at configure time, or GPUMONTH_CUDA=OFF)",
          .driver = "",
          .runtime = "",
          .devices = {}};
}

}  // namespace gpumonth::machine
