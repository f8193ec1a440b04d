// CUDA streams and events with one owner.
#pragma once

#include <utility>

#include "machine/cuda_check.h"

namespace gpumonth::machine {

class CudaEvent {
 public:
  /// `flags`: cudaEventDefault has a time, cudaEventDisableTiming only an order. Throws CudaError.
  explicit CudaEvent(unsigned flags = cudaEventDefault) { GPUMONTH_CUDA(cudaEventCreateWithFlags, &event_, flags); }
  ~CudaEvent() {
    if (event_) static_cast<void>(cudaEventDestroy(event_));
  }
  CudaEvent(CudaEvent&& other) noexcept : event_(std::exchange(other.event_, nullptr)) {}
  CudaEvent& operator=(CudaEvent&&) = delete;
  cudaEvent_t get() const { return event_; }

 private:
  cudaEvent_t event_ = nullptr;
};

/// Between two events that have passed and have a time.
inline double seconds_between(const CudaEvent& from, const CudaEvent& to) {
  float milliseconds = 0;
  GPUMONTH_CUDA(cudaEventElapsedTime, &milliseconds, from.get(), to.get());
  return 1e-3 * static_cast<double>(milliseconds);
}

/// What is due on an urgent stream goes before the next blocks of kernels on others.
enum class Urgency { least, most };

/// Not synchronised with the default stream.
class CudaStream {
 public:
  /// On the current device. Throws CudaError.
  explicit CudaStream(Urgency urgency) {
    int least = 0, most = 0;
    GPUMONTH_CUDA(cudaDeviceGetStreamPriorityRange, &least, &most);
    GPUMONTH_CUDA(cudaStreamCreateWithPriority, &stream_, cudaStreamNonBlocking,
                  urgency == Urgency::most ? most : least);
  }
  ~CudaStream() {
    if (stream_) static_cast<void>(cudaStreamDestroy(stream_));
  }
  CudaStream(CudaStream&& other) noexcept : stream_(std::exchange(other.stream_, nullptr)) {}
  CudaStream& operator=(CudaStream&&) = delete;
  cudaStream_t get() const { return stream_; }

 private:
  cudaStream_t stream_ = nullptr;
};

}  // namespace gpumonth::machine
