// cudaStream*, cudaEvent* and cudaGraph*.
#include <algorithm>
#include <chrono>
#include <vector>

#include "tests/emulator/schedule.h"

using namespace gpumonth::emulator;

namespace {

double now_s() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

void join_capture(cudaStream_t stream, const std::shared_ptr<Capture>& capture, const Tail& after) {
  if (!stream->capture) {
    stream->capture = capture;
    stream->captured.clear();
    capture->streams.push_back(stream);
  }
  for (const std::size_t node : after)
    if (std::find(stream->captured.begin(), stream->captured.end(), node) == stream->captured.end())
      stream->captured.push_back(node);
}

/// Whether everything that was captured comes before `tail`.
bool joined(const Graph& graph, const Tail& tail) {
  std::vector<bool> reached(graph.size(), false);
  std::vector<std::size_t> look = tail;
  while (!look.empty()) {
    const std::size_t node = look.back();
    look.pop_back();
    if (reached[node]) continue;
    reached[node] = true;
    look.insert(look.end(), graph[node].before.begin(), graph[node].before.end());
  }
  return std::all_of(reached.begin(), reached.end(), [](bool r) { return r; });
}

}  // namespace

extern "C" {

cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned, int) {
  *stream = new CUstream_st;
  return cudaSuccess;
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  return cudaStreamCreateWithPriority(stream, flags, 0);
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const std::lock_guard lock(the_lock());
  delete stream;  // what it has left to do is done all the same
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  const std::lock_guard lock(the_lock());
  stream = stream_or_default(stream);
  if (stream->capture) {
    stream->capture->invalid = true;
    return failed(cudaErrorStreamCaptureUnsupported);
  }
  if (const cudaError_t no = refuse_while_capturing()) return failed(no);
  if (!stream->waits.empty()) enqueue(stream, {});  // events that nothing was enqueued behind
  run_until(stream->last);
  return cudaSuccess;
}
cudaError_t cudaDeviceSynchronize() {
  const std::lock_guard lock(the_lock());
  if (const cudaError_t no = refuse_while_capturing()) return failed(no);
  run_all();
  return cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  const std::lock_guard lock(the_lock());
  stream = stream_or_default(stream);
  const EventState& state = *event->state;
  if (const auto capture = state.capture.lock()) {
    if (stream->capture && stream->capture != capture) return failed(cudaErrorStreamCaptureMerge);
    join_capture(stream, capture, state.captured);
    return cudaSuccess;
  }
  if (!state.recorded) return cudaSuccess;
  if (stream->capture) {
    stream->capture->invalid = true;
    return failed(cudaErrorStreamCaptureIsolation);
  }
  stream->waits.push_back(state.recorded);
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  *event = new CUevent_st{std::make_shared<EventState>()};
  (*event)->state->timed = !(flags & cudaEventDisableTiming);
  return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* event) { return cudaEventCreateWithFlags(event, cudaEventDefault); }
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecordWithFlags(cudaEvent_t event, cudaStream_t stream, unsigned flags) {
  const std::lock_guard lock(the_lock());
  stream = stream_or_default(stream);
  const std::shared_ptr<EventState> state = event->state;
  const Work take_time = [state] { state->time_s = now_s(); };
  if (flags & cudaEventRecordExternal) {
    if (!stream->capture) return failed(cudaErrorIllegalState);
    enqueue(stream, take_time);
    return cudaSuccess;
  }
  if (stream->capture) {
    state->capture = stream->capture;
    state->captured = stream->captured;
    return cudaSuccess;
  }
  state->capture.reset();
  enqueue(stream, take_time);
  state->recorded = stream->last;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  return cudaEventRecordWithFlags(event, stream, cudaEventRecordDefault);
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  const std::lock_guard lock(the_lock());
  if (!event->state->capture.expired()) return failed(cudaErrorCapturedEvent);
  run_until(event->state->recorded);
  return cudaSuccess;
}
cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t from, cudaEvent_t to) {
  const std::lock_guard lock(the_lock());
  const EventState &a = *from->state, &b = *to->state;
  if (!a.timed || !b.timed) return failed(cudaErrorInvalidResourceHandle);
  for (const EventState* state : {&a, &b}) {
    if (state->recorded && !state->recorded->done) return failed(cudaErrorNotReady);
    if (state->time_s < 0) return failed(cudaErrorInvalidResourceHandle);
  }
  *ms = static_cast<float>(1e3 * (b.time_s - a.time_s));
  return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  const std::lock_guard lock(the_lock());
  if (!stream) return failed(cudaErrorStreamCaptureUnsupported);  // the default stream
  if (stream->capture) return failed(cudaErrorIllegalState);
  const auto capture = std::make_shared<Capture>();
  capture->origin = stream;
  capture->mode = mode;
  capture->thread = std::this_thread::get_id();
  capture->streams = {stream};
  stream->capture = capture;
  stream->captured.clear();
  remember(capture);
  return cudaSuccess;
}
cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  const std::lock_guard lock(the_lock());
  const auto& capture = stream_or_default(stream)->capture;
  *status = !capture           ? cudaStreamCaptureStatusNone
            : capture->invalid ? cudaStreamCaptureStatusInvalidated
                               : cudaStreamCaptureStatusActive;
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  const std::lock_guard lock(the_lock());
  *graph = nullptr;
  const std::shared_ptr<Capture> capture = stream->capture;
  if (!capture) return failed(cudaErrorIllegalState);
  if (capture->origin != stream) return failed(cudaErrorStreamCaptureUnmatched);
  if (capture->mode != cudaStreamCaptureModeRelaxed && capture->thread != std::this_thread::get_id())
    return failed(cudaErrorStreamCaptureWrongThread);
  const Tail tail = stream->captured;
  for (const cudaStream_t s : capture->streams) {
    s->capture.reset();
    s->captured.clear();
  }
  if (capture->invalid) return failed(cudaErrorStreamCaptureInvalidated);
  if (!joined(capture->graph, tail)) return failed(cudaErrorStreamCaptureUnjoined);
  *graph = new CUgraph_st{capture->graph};
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long) {
  *exec = new CUgraphExec_st{graph->nodes};
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  delete exec;
  return cudaSuccess;
}
cudaError_t cudaGraphUpload(cudaGraphExec_t, cudaStream_t) { return cudaSuccess; }
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  const std::lock_guard lock(the_lock());
  if (stream_or_default(stream)->capture) return failed(cudaErrorNotSupported);  // child graphs: nobody needs them here
  enqueue_graph(stream, exec->nodes);
  return cudaSuccess;
}

}  // extern "C"
