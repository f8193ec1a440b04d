#include <algorithm>
#include <array>
#include <cstring>
#include <stdexcept>

#include "trainer/ops/buffer.h"
#include "trainer/ops/cuda/context.h"

namespace gpumonth::ops {

/// Slots that are filled one after the other; one is filled anew when the copies out of it are done. So the
/// host waits only where it is further ahead of the GPU than the ring is long.
struct StagingRing {
  static constexpr std::size_t kSlots = 4, kSlotBytes = std::size_t{8} << 20, kAlignment = 256;

  explicit StagingRing(cudaStream_t copies) : stream(copies) {
    if (cudaHostAlloc(&memory, kSlots * kSlotBytes, cudaHostAllocDefault) != cudaSuccess) {
      memory = nullptr;  // a limit on locked memory: copies then wait
      (void)cudaGetLastError();
      return;
    }
  }
  ~StagingRing() {
    if (memory) (void)cudaFreeHost(memory);
  }
  StagingRing(const StagingRing&) = delete;
  StagingRing& operator=(const StagingRing&) = delete;

  /// Enqueues as much as the current slot takes; how much that is.
  std::size_t copy(char* target, const char* host, std::size_t bytes) {
    if (used == kSlotBytes) next_slot();
    const std::size_t count = std::min(bytes, kSlotBytes - used);
    char* staged = static_cast<char*>(memory) + slot * kSlotBytes + used;
    std::memcpy(staged, host, count);
    GPUMONTH_CUDA(cudaMemcpyAsync, target, staged, count, cudaMemcpyHostToDevice, stream);
    used = std::min(kSlotBytes, (used + count + kAlignment - 1) / kAlignment * kAlignment);
    return count;
  }

  void* memory = nullptr;  // null: there is no pinned memory

 private:
  void next_slot() {
    GPUMONTH_CUDA(cudaEventRecord, done[slot].get(), stream);
    slot = (slot + 1) % kSlots;
    GPUMONTH_CUDA(cudaEventSynchronize, done[slot].get());  // at once where it was never recorded
    used = 0;
  }

  cudaStream_t stream;
  static machine::CudaEvent order() { return machine::CudaEvent(cudaEventDisableTiming); }
  std::array<machine::CudaEvent, kSlots> done{order(), order(), order(), order()};
  std::size_t slot = 0, used = 0;
};

namespace {

/// A recorded copy would bring what the staging memory holds when it is replayed, which is something else by then.
void require_not_capturing(const Cuda& device, const char* what) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  GPUMONTH_CUDA(cudaStreamIsCapturing, stream_of(device), &status);
  if (status != cudaStreamCaptureStatusNone)
    throw std::logic_error(std::string(what) + "() while a CUDA graph is recorded: load before, fetch after");
}

}  // namespace

void* allocate(Cuda& device, std::size_t bytes) {
  void* memory = nullptr;
  const std::size_t size = std::max<std::size_t>(bytes, 1);
  GPUMONTH_CUDA(cudaMalloc, &memory, size);
  const cudaError_t zeroed = cudaMemsetAsync(memory, 0, size, stream_of(device));
  if (zeroed != cudaSuccess) (void)cudaFree(memory);
  machine::check_cuda(zeroed, "cudaMemsetAsync", __FILE__, __LINE__);
  return memory;
}

/// cudaFree of such memory waits for what uses it, in practice: its documentation says only that it may. Its
/// status is left alone: destructors call this, and an error of a kernel is told by the next checked call.
void release(Cuda&, void* memory, std::size_t) { (void)cudaFree(memory); }

void copy_to_device(Cuda& device, void* target, const void* host, std::size_t bytes) {
  require_not_capturing(device, "copy_to_device");
  CudaContext& context = *device.context;
  if (!context.staging) context.staging = std::make_shared<StagingRing>(context.stream);
  StagingRing& ring = *context.staging;
  char* to = static_cast<char*>(target);
  const char* from = static_cast<const char*>(host);
  if (!ring.memory) {
    GPUMONTH_CUDA(cudaMemcpyAsync, to, from, bytes, cudaMemcpyHostToDevice, context.stream);
    GPUMONTH_CUDA(cudaStreamSynchronize, context.stream);
    return;
  }
  while (bytes > 0) {
    const std::size_t count = ring.copy(to, from, bytes);
    to += count;
    from += count;
    bytes -= count;
  }
}

void copy_to_host(Cuda& device, void* host, const void* source, std::size_t bytes) {
  require_not_capturing(device, "copy_to_host");
  if (bytes > 0) GPUMONTH_CUDA(cudaMemcpyAsync, host, source, bytes, cudaMemcpyDeviceToHost, stream_of(device));
  GPUMONTH_CUDA(cudaStreamSynchronize, stream_of(device));
}

void synchronize(Cuda& device) { GPUMONTH_CUDA(cudaStreamSynchronize, stream_of(device)); }

}  // namespace gpumonth::ops
