#include <cstdio>
#include <exception>
#include <string>

#include "trainer/ops/cuda/context.h"
#include "trainer/ops/step_graph.h"

namespace gpumonth::ops {
namespace {

/// Libraries choose algorithms and load kernels in the first run; the second shows that they have done so.
constexpr int kEagerRuns = 2;

/// Destroyed at the end of the scope.
struct Graph {
  cudaGraph_t graph = nullptr;
  ~Graph() {
    if (graph) (void)cudaGraphDestroy(graph);
  }
};

std::string text_of(const char* call, cudaError_t status) {
  (void)cudaGetLastError();
  return std::string(call) + ": " + cudaGetErrorString(status);
}

/// What `work` enqueues. The capture always ends here, else the stream would stay unusable. Empty: it went well.
std::string capture(cudaStream_t stream, const std::function<void()>& work, Graph& into) {
  // Thread-local: what other threads do, such as a communication library's, does not end the capture.
  const cudaError_t begun = cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal);
  if (begun != cudaSuccess) return text_of("cudaStreamBeginCapture", begun);
  std::string why;
  try {
    work();
  } catch (const std::exception& error) {
    why = error.what();
    if (why.empty()) why = "an error without a text";
  } catch (...) {
    why = "an unknown exception";
  }
  const cudaError_t ended = cudaStreamEndCapture(stream, &into.graph);
  if (ended != cudaSuccess) {
    (void)cudaGetLastError();
    if (why.empty()) why = text_of("cudaStreamEndCapture", ended);
  }
  if (why.empty() && !into.graph) why = "cudaStreamEndCapture gave no graph";
  return why;
}

}  // namespace

struct StepGraph<Cuda>::Impl {
  explicit Impl(const Cuda& on) : device(on) {}
  ~Impl() {
    if (replayed) (void)cudaGraphExecDestroy(replayed);
  }

  /// Records, and launches what was recorded; false: nothing has been done on the device.
  bool record(const std::function<void()>& work) {
    const cudaStream_t stream = stream_of(device);
    Graph recorded;
    std::string why = capture(stream, work, recorded);
    if (why.empty()) {
      const cudaError_t status = cudaGraphInstantiate(&replayed, recorded.graph, 0);
      if (status != cudaSuccess) {
        why = text_of("cudaGraphInstantiate", status);
        replayed = nullptr;
      }
    }
    if (why.empty()) {
      const cudaError_t status = cudaGraphUpload(replayed, stream);
      if (status != cudaSuccess) why = text_of("cudaGraphUpload", status);
    }
    if (agree && !agree(why.empty()) && why.empty()) why = "another rank could not";
    if (why.empty()) {
      GPUMONTH_CUDA(cudaGraphLaunch, replayed, stream);
      return true;
    }
    if (replayed) (void)cudaGraphExecDestroy(replayed);
    replayed = nullptr;
    std::fprintf(stderr,
                 "gpumonth: no CUDA graph of the step could be recorded (%s): every step is enqueued anew, "
                 "which takes "
                 "longer where kernels are short\n",
                 why.c_str());
    return false;
  }

  Cuda device;  // keeps the context alive
  std::function<bool(bool)> agree;
  int runs = 0;
  bool refused = false;
  cudaGraphExec_t replayed = nullptr;
};

StepGraph<Cuda>::StepGraph(Cuda& device) : impl_(std::make_unique<Impl>(device)) {}
StepGraph<Cuda>::~StepGraph() = default;
StepGraph<Cuda>::StepGraph(StepGraph&&) noexcept = default;

void StepGraph<Cuda>::agree_by(std::function<bool(bool)> agree) { impl_->agree = std::move(agree); }

void StepGraph<Cuda>::run(const std::function<void()>& work) {
  if (impl_->replayed) {
    GPUMONTH_CUDA(cudaGraphLaunch, impl_->replayed, stream_of(impl_->device));
    return;
  }
  const bool eager = !impl_->device.context->use_graphs || impl_->refused || impl_->runs < kEagerRuns;
  if (!eager) {
    if (impl_->record(work)) return;
    impl_->refused = true;
  }
  ++impl_->runs;
  work();
}

bool StepGraph<Cuda>::replays() const { return impl_->replayed != nullptr; }

}  // namespace gpumonth::ops
