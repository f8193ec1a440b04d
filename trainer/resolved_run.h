// A run as it is on these machines.
#pragma once

#include <string>

namespace gpumonth::trainer {

/// What "auto" became.
struct ResolvedRun {
  std::string backend, dtype, directory;
  int threads = 1;
  int device = 0;   ///< backend "cuda": this rank's GPU
  std::string gpu;  ///< its UUID; empty on the CPU
};

}  // namespace gpumonth::trainer
