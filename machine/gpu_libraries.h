// Which GPU libraries this process gets at run time. Loaded by name, so that a missing one is a line of
// `doctor` and not a program that does not start.
#pragma once

#include <string>
#include <vector>

namespace gpumonth::machine {

struct GpuLibrary {
  std::string name;     ///< "NCCL"
  std::string version;  ///< "2.28.9"; empty where it cannot be loaded
  std::string why;      ///< then the loader's text
};

/// NCCL, cuBLASLt, cuDNN.
std::vector<GpuLibrary> gpu_libraries();

}  // namespace gpumonth::machine
