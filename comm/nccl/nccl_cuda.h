// Streams and events with one owner.
#pragma once

#include <utility>

#include "comm/nccl/nccl_check.h"

namespace gpumonth::comm {

class CudaEvent {
 public:
  explicit CudaEvent(unsigned flags = cudaEventDefault) { GPUMONTH_CUDART(cudaEventCreateWithFlags, &event_, flags); }
  ~CudaEvent() {
    if (event_) cudaEventDestroy(event_);
  }
  CudaEvent(CudaEvent&& other) noexcept : event_(std::exchange(other.event_, nullptr)) {}
  CudaEvent& operator=(CudaEvent&&) = delete;
  cudaEvent_t get() const { return event_; }

 private:
  cudaEvent_t event_ = nullptr;
};

/// Not synchronised with the default stream. Of the highest priority: what is due there goes before the
/// compute kernels' next blocks.
class PriorityStream {
 public:
  PriorityStream() {
    int least = 0, greatest = 0;
    GPUMONTH_CUDART(cudaDeviceGetStreamPriorityRange, &least, &greatest);
    GPUMONTH_CUDART(cudaStreamCreateWithPriority, &stream_, cudaStreamNonBlocking, greatest);
  }
  ~PriorityStream() { cudaStreamDestroy(stream_); }
  PriorityStream(const PriorityStream&) = delete;
  PriorityStream& operator=(const PriorityStream&) = delete;
  cudaStream_t get() const { return stream_; }

 private:
  cudaStream_t stream_ = nullptr;
};

}  // namespace gpumonth::comm
