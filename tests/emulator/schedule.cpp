// In which order enqueued work runs. GPUMONTH_EMULATED_ORDER:
//   latest   of all that may run next, what was enqueued last (the default)
//   needed   only what is waited for needs, the latest first: what nobody waits for is not done
//   earliest in the order of the calls, as under CUDA_LAUNCH_BLOCKING=1
#include "tests/emulator/schedule.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>
#include <string>

#include "tests/emulator/memory.h"

namespace gpumonth::emulator {
namespace {

enum class Order { latest, needed, earliest };

Order order() {
  static const Order chosen = [] {
    const char* given = std::getenv("GPUMONTH_EMULATED_ORDER");
    const std::string name = given ? given : "latest";
    return name == "needed" ? Order::needed : name == "earliest" ? Order::earliest : Order::latest;
  }();
  return chosen;
}

/// What is not done: all of it, and what may run. By number.
struct Pending {
  std::map<std::uint64_t, NodePtr> all, ready;
  std::uint64_t next = 0;
};
Pending& pending() {
  static Pending nodes;
  return nodes;
}

void add(const NodePtr& node) {
  Pending& p = pending();
  node->number = p.next++;
  for (const NodePtr& b : node->before) b->after.push_back(node);
  node->missing = node->before.size();
  p.all.emplace(node->number, node);
  if (node->missing == 0) p.ready.emplace(node->number, node);
}

void add_ancestors(const NodePtr& of, std::set<const Node*>& to) {
  std::vector<NodePtr> look{of};
  while (!look.empty()) {
    const NodePtr node = look.back();
    look.pop_back();
    if (node->done || !to.insert(node.get()).second) continue;
    look.insert(look.end(), node->before.begin(), node->before.end());
  }
}

/// What runs next.
NodePtr choose(const std::set<const Node*>& needed) {
  const auto may_run = [&](const auto& entry) {
    const Node* const node = entry.second.get();
    return needed.count(node) > 0 || (order() != Order::needed && node->waits == Waits::for_nobody);
  };
  const auto& ready = pending().ready;
  if (order() == Order::earliest) {
    const auto found = std::find_if(ready.begin(), ready.end(), may_run);
    if (found != ready.end()) return found->second;
  } else {
    const auto found = std::find_if(ready.rbegin(), ready.rend(), may_run);
    if (found != ready.rend()) return found->second;
  }
  std::abort();  // a cycle: a fault of the emulator
}

void run(const NodePtr& node) {
  Pending& p = pending();
  if (node->work) node->work();
  p.all.erase(node->number);
  p.ready.erase(node->number);
  for (const NodePtr& after : node->after)
    if (--after->missing == 0) p.ready.emplace(after->number, after);
  node->work = nullptr;
  node->before.clear();
  node->after.clear();
  node->done = true;
}

/// Behind what `stream` has, and what it waits for.
void append(cudaStream_t stream, const NodePtr& node) {
  if (stream->last && !stream->last->done) node->before.push_back(stream->last);
  for (const NodePtr& other : stream->waits)
    if (!other->done) node->before.push_back(other);
  stream->waits.clear();
  stream->last = node;
  add(node);
}

}  // namespace

cudaStream_t stream_or_default(cudaStream_t stream) {
  static CUstream_st legacy;
  return stream ? stream : &legacy;
}

std::recursive_mutex& the_lock() {
  static std::recursive_mutex mutex;
  return mutex;
}

void enqueue(cudaStream_t stream, Work work, Waits waits) {
  const std::lock_guard lock(the_lock());
  stream = stream_or_default(stream);
  if (stream->capture) {
    Graph& graph = stream->capture->graph;
    graph.push_back({std::move(work), waits, stream->captured});
    stream->captured = {graph.size() - 1};
    return;
  }
  auto node = std::make_shared<Node>();
  node->work = std::move(work);
  node->waits = waits;
  append(stream, node);
}

void enqueue_graph(cudaStream_t stream, const Graph& graph) {
  const std::lock_guard lock(the_lock());
  stream = stream_or_default(stream);
  const auto begin = std::make_shared<Node>(), end = std::make_shared<Node>();
  append(stream, begin);
  std::vector<NodePtr> nodes;
  for (const GraphNode& from : graph) {
    auto node = std::make_shared<Node>();
    node->work = from.work;
    node->waits = from.waits;
    node->before = {begin};
    for (const std::size_t b : from.before) node->before.push_back(nodes[b]);
    nodes.push_back(node);
    add(node);
  }
  end->before = nodes;
  end->before.push_back(begin);
  stream->last = end;
  add(end);
}

void run_until(NodePtr target) {
  const std::lock_guard lock(the_lock());
  if (!target || target->done) return;
  const MemoryOpen open;
  std::set<const Node*> needed;
  add_ancestors(target, needed);
  while (!target->done) run(choose(needed));
}

void run_all() {
  const std::lock_guard lock(the_lock());
  while (!pending().all.empty()) run_until(pending().all.rbegin()->second);
}

namespace {

std::vector<std::weak_ptr<Capture>>& captures() {
  static std::vector<std::weak_ptr<Capture>> all;
  return all;
}

}  // namespace

void remember(const std::shared_ptr<Capture>& capture) { captures().push_back(capture); }

cudaError_t refuse_while_capturing() {
  const std::lock_guard lock(the_lock());
  for (const auto& weak : captures()) {
    const auto capture = weak.lock();
    if (!capture || capture->mode == cudaStreamCaptureModeRelaxed) continue;
    if (capture->mode == cudaStreamCaptureModeThreadLocal && capture->thread != std::this_thread::get_id()) continue;
    capture->invalid = true;
    return cudaErrorStreamCaptureUnsupported;
  }
  return cudaSuccess;
}

}  // namespace gpumonth::emulator
