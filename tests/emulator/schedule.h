// What streams, events and graphs of the emulated GPU hold.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "tests/emulator/emulator.h"

namespace gpumonth::emulator {

/// A piece of work, what has to be done before it, and what waits for it.
struct Node {
  Work work;
  Waits waits = Waits::for_nobody;
  std::uint64_t number = 0;                   ///< in the order of the calls
  std::vector<std::shared_ptr<Node>> before;  ///< as far as not done when it was enqueued
  std::vector<std::shared_ptr<Node>> after;
  std::size_t missing = 0;  ///< of `before`
  bool done = false;
};
using NodePtr = std::shared_ptr<Node>;

/// The same in a graph: `before` holds positions in it.
struct GraphNode {
  Work work;
  Waits waits = Waits::for_nobody;
  std::vector<std::size_t> before;
};
using Graph = std::vector<GraphNode>;
using Tail = std::vector<std::size_t>;  ///< the nodes of a graph that the next one comes after

struct Capture {
  Graph graph;
  cudaStream_t origin = nullptr;
  cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal;
  std::thread::id thread;
  bool invalid = false;
  std::vector<cudaStream_t> streams;
};

struct EventState {
  bool timed = true;
  NodePtr recorded;                ///< by the last cudaEventRecord outside of captures
  double time_s = -1;              ///< of the last time a record ran
  std::weak_ptr<Capture> capture;  ///< the last record was in this capture
  Tail captured;
};

/// Held by every call that looks at what is below, and while work runs.
std::recursive_mutex& the_lock();

/// Runs until `target` is done. Null is done.
void run_until(NodePtr target);
void run_all();

/// Puts a graph's nodes behind the stream's.
void enqueue_graph(cudaStream_t stream, const Graph& graph);

/// The default stream for null.
cudaStream_t stream_or_default(cudaStream_t stream);

/// Makes refuse_while_capturing() look at it.
void remember(const std::shared_ptr<Capture>& capture);

/// What a call returns that must not be made while this thread captures; the capture is invalid then.
cudaError_t refuse_while_capturing();

}  // namespace gpumonth::emulator

struct CUstream_st {
  gpumonth::emulator::NodePtr last;
  std::vector<gpumonth::emulator::NodePtr> waits;  ///< for other streams' events, before what comes next
  std::shared_ptr<gpumonth::emulator::Capture> capture;
  gpumonth::emulator::Tail captured;
};
struct CUevent_st {
  std::shared_ptr<gpumonth::emulator::EventState> state;
};
struct CUgraph_st {
  gpumonth::emulator::Graph nodes;
};
struct CUgraphExec_st {
  gpumonth::emulator::Graph nodes;
};
