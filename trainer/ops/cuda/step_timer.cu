#include <vector>

#include "trainer/ops/cuda/context.h"
#include "trainer/ops/step_timer.h"

namespace gpumonth::ops {

struct StepTimer<Cuda>::Impl {
  Impl(const Cuda& on, int marks) : device(on), events(static_cast<std::size_t>(marks), nullptr) {
    try {
      for (cudaEvent_t& event : events) GPUMONTH_CUDA(cudaEventCreate, &event);
    } catch (...) {
      destroy();
      throw;
    }
  }
  ~Impl() { destroy(); }
  void destroy() {
    for (cudaEvent_t event : events)
      if (event) (void)cudaEventDestroy(event);
  }

  Cuda device;  // keeps the context alive
  std::vector<cudaEvent_t> events;
};

StepTimer<Cuda>::StepTimer(Cuda& device, int marks) : impl_(std::make_unique<Impl>(device, marks)) {}
StepTimer<Cuda>::~StepTimer() = default;
StepTimer<Cuda>::StepTimer(StepTimer&&) noexcept = default;
StepTimer<Cuda>& StepTimer<Cuda>::operator=(StepTimer&&) noexcept = default;

/// In a recorded step the event is one that is seen from outside the graph: every replay records it anew.
/// Outside of a recording that flag is refused.
void StepTimer<Cuda>::mark(int which) {
  const cudaStream_t stream = stream_of(impl_->device);
  const cudaEvent_t event = impl_->events.at(static_cast<std::size_t>(which));
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  GPUMONTH_CUDA(cudaStreamIsCapturing, stream, &status);
  if (status == cudaStreamCaptureStatusNone) {
    GPUMONTH_CUDA(cudaEventRecord, event, stream);
  } else {
    GPUMONTH_CUDA(cudaEventRecordWithFlags, event, stream, cudaEventRecordExternal);
  }
}

double StepTimer<Cuda>::seconds(int from, int to) const {
  float milliseconds = 0;
  GPUMONTH_CUDA(cudaEventElapsedTime, &milliseconds, impl_->events.at(static_cast<std::size_t>(from)),
                impl_->events.at(static_cast<std::size_t>(to)));
  return 1e-3 * static_cast<double>(milliseconds);
}

}  // namespace gpumonth::ops
