// A step without arithmetic: backward copies given values into the flat gradients, segment by segment, on a
// stream of its own, so that what comes out is known exactly. May be captured.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "comm/gradient_reducer.h"
#include "machine/cuda_handles.h"

namespace gpumonth::tests {

class GpuStep {
 public:
  GpuStep(comm::Transport& transport, std::vector<comm::Segment> segments, std::int64_t size, std::int64_t bucket_bytes,
          const comm::ReducerOptions& options = {})
      : segments_(std::move(segments)), size_(size), source_(transport.allocate(size)),
        gradients_(transport.allocate(size)),
        reducer_(transport.make_reducer(gradients_.get(), segments_, bucket_bytes, stream_.get(), options)) {}
  ~GpuStep() {
    if (graph_) cudaGraphExecDestroy(graph_);  // before the communicator: NCCL waits for graphs
  }
  GpuStep(const GpuStep&) = delete;
  GpuStep& operator=(const GpuStep&) = delete;

  comm::GradientReducer& reducer() { return *reducer_; }
  cudaStream_t stream() const { return stream_.get(); }
  float* gradients() const { return gradients_.get(); }

  /// What backward will give on this rank.
  void set(const std::vector<float>& values) {
    GPUMONTH_CUDA(cudaMemcpyAsync, source_.get(), values.data(), 4 * values.size(), cudaMemcpyHostToDevice, stream());
    GPUMONTH_CUDA(cudaStreamSynchronize, stream());
  }
  /// `after` is enqueued behind wait().
  void enqueue(const std::function<void()>& after = {}) {
    GPUMONTH_CUDA(cudaMemsetAsync, gradients_.get(), 0xff, 4 * static_cast<std::size_t>(size_),
                  stream());  // NaN
    reducer_->begin_backward();
    for (std::size_t s = 0; s < segments_.size(); ++s) {
      const auto [at, count] = segments_[s];
      GPUMONTH_CUDA(cudaMemcpyAsync, gradients_.get() + at, source_.get() + at, 4 * static_cast<std::size_t>(count),
                    cudaMemcpyDeviceToDevice, stream());
      reducer_->ready(static_cast<int>(s));
    }
    reducer_->wait();
    if (after) after();
  }
  void capture(const std::function<void()>& after = {}) {
    cudaGraph_t graph = nullptr;
    GPUMONTH_CUDA(cudaStreamBeginCapture, stream(), cudaStreamCaptureModeThreadLocal);
    enqueue(after);
    GPUMONTH_CUDA(cudaStreamEndCapture, stream(), &graph);
    GPUMONTH_CUDA(cudaGraphInstantiate, &graph_, graph, 0);
    GPUMONTH_CUDA(cudaGraphDestroy, graph);
  }
  void replay() { GPUMONTH_CUDA(cudaGraphLaunch, graph_, stream()); }

  std::vector<float> sums() const { return fetch(gradients_.get()); }
  std::vector<float> fetch(const float* device) const {
    std::vector<float> values(static_cast<std::size_t>(size_));
    GPUMONTH_CUDA(cudaMemcpyAsync, values.data(), device, 4 * values.size(), cudaMemcpyDeviceToHost, stream());
    GPUMONTH_CUDA(cudaStreamSynchronize, stream());
    return values;
  }

 private:
  std::vector<comm::Segment> segments_;
  std::int64_t size_;
  machine::CudaStream stream_{machine::Urgency::most};
  std::shared_ptr<float[]> source_, gradients_;
  std::unique_ptr<comm::GradientReducer> reducer_;
  cudaGraphExec_t graph_ = nullptr;
};

}  // namespace gpumonth::tests
