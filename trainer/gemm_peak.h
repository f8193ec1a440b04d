// The fastest matrix product this machine does: the denominator of utilisation on a CPU, which has no
// datasheet peak that it can hold, and beside the datasheet's on a GPU.
#pragma once

#include <string>
#include <vector>

namespace gpumonth::trainer {

struct GemmPeak {
  double flops_per_s = 0;  ///< of this process with `threads` threads or one GPU, 1 MAC = 2 FLOPs
  std::string shape;       ///< the product that gave it: "2048x384x1536" (rows x out x in)
};

/// Times oneDNN on the shapes of a DiT's linear layers for about a second. dtype: "fp32" or "bf16".
GemmPeak measure_gemm_peak(const std::string& dtype, int threads);

/// Times cuBLASLt on GPU `device` for about three seconds: big square products and a DiT's linear layers,
/// random numbers, fp32 accumulation; in fp32 without TF32. Each rate is held for 0.3 s after 0.3 s of
/// warm-up: what the GPU does at the clock that its power limit allows, not a best moment. A shape that the
/// free memory does not hold is left out; NaN where none was measured.
GemmPeak measure_gpu_gemm_peak(const std::string& dtype, int device);
/// Where the GELU of an MLP and its bias gradient are computed on GPU `device`, in the product or in a pass of their own: a
/// line for each choice of fc1 and fc2 of DiT-XL/2, 8,192 rows in bf16, with the times that it was made by. A run chooses
/// for its own shapes. Empty beside a model that fills the GPU.
std::vector<std::string> gpu_mlp_choices(int device);
/// Bytes read plus bytes written per second by copies within the GPU's memory; NaN where there is no room for them.
double measure_gpu_copy_bandwidth(int device);

}  // namespace gpumonth::trainer
