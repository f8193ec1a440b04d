// Named ranges on this thread's timeline in Nsight Systems (NVTX, NVIDIA Tools Extension). The profiler's library is
// loaded at the first range where NVTX_INJECTION64_PATH names one, which `nsys profile` sets; else a range is a branch.
// One of two source files is built: with CUDA's headers or without.
//
// Ranges are the CPU's: around work that it does, or that it enqueues. A step that a GPU replays as a CUDA graph has
// `step` and `wait` alone: `nsys profile --cuda-graph-trace=node` shows what is in it.
#pragma once

namespace gpumonth::machine {

class NvtxRange {
 public:
  /// `name` must outlive the range: a literal.
  explicit NvtxRange(const char* name);
  ~NvtxRange();
  NvtxRange(const NvtxRange&) = delete;
  NvtxRange& operator=(const NvtxRange&) = delete;
};

}  // namespace gpumonth::machine
