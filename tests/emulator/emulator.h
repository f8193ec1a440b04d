// An NVIDIA GPU for tests on machines without one: CUDA runtime, cuBLASLt and NCCL as far as gpumonth calls
// them, on the CPU. It says nothing of speed, and nothing of what the real libraries refuse; it runs every
// kernel of ours, thread by thread, and every call around them, in an order that a GPU would be allowed to
// choose.
//
// Device memory is host memory. What is enqueued on streams is kept, and run only when somebody waits for it:
// of all that may run next, what was enqueued last goes first (schedule.cpp). Two pieces of work that share
// data and are ordered by luck alone then go wrong every time. Build with address sanitizer, and it is a
// memory checker too.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <functional>

namespace gpumonth::emulator {

using Work = std::function<void()>;

/// Whether work ends by itself, or waits for other ranks. The latter is run only where somebody waits for it.
enum class Waits { for_nobody, for_ranks };

/// Puts `work` behind what `stream` has, or into the graph that is being captured from it. Once for each
/// launch of a graph, `work` is called later, perhaps from another thread, so it holds copies of its
/// arguments, device pointers as such; pointees in device memory may be read and written only inside of it.
void enqueue(cudaStream_t stream, Work work, Waits waits = Waits::for_nobody);

/// The launch of a kernel, after a check of its sizes. `thread` is called as each of its threads, see device.h.
void launch(dim3 grid, dim3 block, std::size_t shared_bytes, cudaStream_t stream, Work thread);

/// The same error, which cudaGetLastError() and the checks after a kernel launch return too; success changes nothing.
cudaError_t failed(cudaError_t error);

}  // namespace gpumonth::emulator
