// The fastest matrix product this machine does: the denominator of utilisation on a CPU, which has no datasheet
// peak that it can hold.
#pragma once

#include <string>

namespace gpumonth::trainer {

struct GemmPeak {
  double flops_per_s = 0;  ///< of this process with `threads` threads, 1 MAC = 2 FLOPs
  std::string shape;       ///< the product that gave it: "2048x384x1536"
};

/// Times oneDNN on the shapes of a DiT's linear layers for about a second. dtype: "fp32" or "bf16".
GemmPeak measure_gemm_peak(const std::string& dtype, int threads);

}  // namespace gpumonth::trainer
