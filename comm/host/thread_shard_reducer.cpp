#include "comm/host/thread_shard_reducer.h"

#include <fmt/format.h>
#include <sys/prctl.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <stdexcept>

#include "comm/host/communication_thread.h"
#include "comm/shard.h"
#include "machine/nvtx.h"

namespace gpumonth::comm {
namespace {

using ShardClock = std::chrono::steady_clock;

double elapsed_s(ShardClock::time_point start) {
  return std::chrono::duration<double>(ShardClock::now() - start).count();
}

std::span<float> span_of(float* values, std::int64_t count) { return {values, static_cast<std::size_t>(count)}; }

}  // namespace

struct ThreadShardReducer::Impl {
  Impl(Transport& over, const ReducerOptions& options)
      : transport(over), storage(*options.full), layout(storage.layout), stand_in(options.stand_in),
        order(layout.blocks()), buckets(layout.buckets()), parts(layout.owned()) {
    for (const Bucket& bucket : buckets) times.push_back({.bytes = stand_in.sent(bucket.range.count) * 4});
    Communicator& all = transport.ranks();
    if (layout.ranks() == all.size()) {
      group = all.duplicate("weights and gradients");
    } else {
      group = all.split(all.rank() / layout.ranks(), "weights and gradients");
      replicas = all.split(all.rank() % layout.ranks(), "gradients of replicas");
    }
    thread = std::thread([this] { run(); });
  }

  // ---- the main thread ----

  /// What the thread does next but what was posted before; its number.
  struct Job {
    bool gathers;
    std::size_t segment;  // to reduce
    int unit;             // to gather
    bool first, last;     // pass of the step
  };
  std::uint64_t post(const Job& job) {
    const std::lock_guard lock(mutex);
    queue.push_back(job);
    changed.notify_all();
    return ++posted;
  }
  void post_gather(int unit) {
    gathered_by[slot_of(unit)] = post({.gathers = true, .segment = 0, .unit = unit, .first = false, .last = false});
  }

  /// Until the job with that number is done; how long that was.
  double await(std::uint64_t number) {
    const auto begin = ShardClock::now();
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return finished >= number; });
    return elapsed_s(begin);
  }

  void begin(std::int64_t number) {
    if (open) throw std::logic_error("begin_step() before wait() of the step before");
    open = true;
    step = number;
    begin_passes();
    exposed_s = 0;
    weights = {};
    comm_s = 0;
  }

  void begin_passes() {
    pass = 0;
    order.begin_step();
  }

  void need(int unit) {
    if (!open) throw std::logic_error("need() outside of a step");
    transport.set_context(order.backward() ? "backward" : "forward", step);
    if (unit == kOuterUnit) {
      ++pass;
      for (const int next : order.begin_forward()) post_gather(next);
    }
    // Also for the room of its gradients: a block that is gathered in backward is so behind the reductions of the one
    // whose place it takes, and begin_backward() has waited for those of the pass before.
    const double waited_s = await(gathered_by[slot_of(unit)]);
    (order.backward() ? weights.exposed_backward_s : weights.exposed_forward_s) += waited_s;
  }

  void done(int block) {
    const int next = order.after(block);
    if (next != GatherOrder::kNone) post_gather(next);
  }

  void begin_backward() {
    if (!open) throw std::logic_error("begin_backward() outside of a step");
    order.begin_backward();
    next_segment = 0;
    weights.exposed_backward_s += await(posted);  // the gradients of the pass before have left
    backward_start = ShardClock::now();
  }

  void ready(int segment) {
    if (!open || segment != next_segment || segment >= static_cast<int>(buckets.size()))
      throw std::logic_error(fmt::format("gradient segment {} is ready, expected {}", segment, next_segment));
    const auto s = static_cast<std::size_t>(next_segment++);
    times[s].ready_s = elapsed_s(backward_start);
    post({.gathers = false, .segment = s, .unit = 0, .first = pass == 1, .last = pass == storage.passes});
  }

  void wait() {
    if (!open || next_segment != static_cast<int>(buckets.size()) || pass != storage.passes)
      throw std::logic_error(fmt::format("wait() after {} of {} gradient segments of pass {} of {}", next_segment,
                                         buckets.size(), pass, storage.passes));
    open = false;
    transport.set_context("waiting for gradients", step);
    exposed_s += await(posted);
  }

  void sum(double* values, std::int64_t count) {
    if (open) throw std::logic_error("sum() before wait()");
    group->all_reduce_sum(std::span<double>(values, static_cast<std::size_t>(count)));
  }

  // ---- the communication thread ----

  void run() {
    prctl(PR_SET_TIMERSLACK, 1000UL);  // ns: a sleep of 50 us is not stretched to 100
    try {
      while (const std::optional<Job> job = next()) {
        job->gathers ? gather(job->unit) : reduce(*job);
        const std::lock_guard lock(mutex);
        ++finished;
        changed.notify_all();
      }
    } catch (const std::exception& error) {
      group->abort(fmt::format("communication of weights and gradients: {}", error.what()), 1);
    }
    ended = true;
  }

  std::optional<Job> next() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return stop || !queue.empty(); });
    if (stop) return std::nullopt;
    const Job job = queue.front();
    queue.pop_front();
    return job;
  }

  void gather(int unit) {
    const machine::NvtxRange range("gather");
    const auto begin = ShardClock::now();
    for (std::size_t s = 0; s < buckets.size(); ++s) {
      if (layout.segments()[s].unit != unit) continue;
      if (layout.segments()[s].typed && storage.typed_weights)
        gather_part(s, storage.typed_shard, storage.typed_weights, 2);
      else
        gather_part(s, storage.shard, storage.weights, sizeof(float));
    }
    weights.inside_s += elapsed_s(begin);
  }

  /// Shares are of whole fp32 values in bf16, too: of 4 elements and more.
  void gather_part(std::size_t s, const void* shard, void* room, std::size_t value_bytes) {
    const int ranks = layout.ranks();
    const Segment placed = layout.placed(s), mine = layout.owned(s), rest = rest_of(placed, ranks);
    const auto bytes = [&](std::int64_t elements) { return static_cast<std::size_t>(elements) * value_bytes; };
    const auto at = [&](std::int64_t element) { return static_cast<std::byte*>(room) + bytes(element); };
    std::memcpy(at(placed.offset + mine.offset), static_cast<const std::byte*>(shard) + bytes(layout.shard_at(s)),
                bytes(mine.count));
    group->all_gather({reinterpret_cast<float*>(at(placed.offset)), bytes(placed.count - rest.count) / sizeof(float)});
    if (rest.count > 0) group->broadcast({at(rest.offset), bytes(rest.count)}, ranks - 1);
    weights.gathered_bytes += sent_bytes(static_cast<double>(bytes(placed.count)), ranks);
  }

  void reduce(const Job& job) {
    const machine::NvtxRange range("bucket");
    const std::size_t s = job.segment;
    times[s].start_s = elapsed_s(backward_start);
    const int ranks = layout.ranks();
    const Segment placed = layout.placed(s), mine = layout.owned(s), rest = rest_of(placed, ranks);
    group->reduce_scatter_sum(span_of(storage.gradients + placed.offset, stand_in.sent(placed.count - rest.count)));
    if (rest.count > 0) group->all_reduce_sum(span_of(storage.gradients + rest.offset, rest.count));
    const float* sums = storage.gradients + placed.offset + mine.offset;
    float* shard = storage.gradient_shard + layout.shard_at(s);
    if (job.first) {
      std::copy_n(sums, mine.count, shard);
    } else {
      for (std::int64_t i = 0; i < mine.count; ++i) shard[i] += sums[i];
    }
    weights.reduced_bytes += sent_bytes(static_cast<double>(times[s].bytes), ranks);
    if (replicas && job.last) {
      replicas->all_reduce_sum(span_of(shard, mine.count));
      weights.reduced_bytes += 2 * sent_bytes(4.0 * static_cast<double>(mine.count), replicas->size());
    }
    times[s].end_s = elapsed_s(backward_start);
    comm_s += times[s].end_s - times[s].start_s;
  }

  bool end_thread() {
    {
      const std::lock_guard lock(mutex);
      stop = true;
      changed.notify_all();
    }
    return end_communication_thread(thread, ended);
  }

  Transport& transport;
  ShardedStorage storage;
  const ShardLayout& layout;
  StandIn stand_in;
  GatherOrder order;
  std::vector<Bucket> buckets;
  std::vector<Segment> parts;
  std::unique_ptr<Communicator> group, replicas;  // the latter null where the group is all ranks

  bool open = false;
  int next_segment = 0, pass = 0;
  std::int64_t step = 0;
  double exposed_s = 0;
  std::uint64_t gathered_by[kBlockSlots + 1] = {};  // number of the job that fills each slot, and the outer unit

  // Written by one thread before it posts, or has done, and read by the other after it has seen that.
  ShardClock::time_point backward_start;
  std::vector<BucketTimes> times;
  double comm_s = 0;
  WeightGathers weights;

  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Job> queue;
  std::uint64_t posted = 0, finished = 0;
  bool stop = false;
  std::atomic<bool> ended{false};
  std::thread thread;
};

ThreadShardReducer::ThreadShardReducer(Transport& transport, const ReducerOptions& options)
    : impl_(std::make_unique<Impl>(transport, options)) {}

ThreadShardReducer::~ThreadShardReducer() {
  if (!impl_->end_thread()) (void)impl_.release();
}

void ThreadShardReducer::begin_step(std::int64_t step) { impl_->begin(step); }
void ThreadShardReducer::begin_backward() { impl_->begin_backward(); }
void ThreadShardReducer::ready(int segment) { impl_->ready(segment); }
void ThreadShardReducer::wait() { impl_->wait(); }
void ThreadShardReducer::begin_passes() { impl_->begin_passes(); }
void ThreadShardReducer::need(int unit) { impl_->need(unit); }
void ThreadShardReducer::done(int block) { impl_->done(block); }
const std::vector<Segment>& ThreadShardReducer::owned() const { return impl_->parts; }
void ThreadShardReducer::sum(double* values, std::int64_t count) { impl_->sum(values, count); }
StepCommunication ThreadShardReducer::finish() {
  return {.comm_s = impl_->comm_s, .exposed_s = impl_->exposed_s, .gather_s = 0, .weights = impl_->weights};
}
const std::vector<BucketTimes>& ThreadShardReducer::timeline() const { return impl_->times; }
const std::vector<Bucket>& ThreadShardReducer::buckets() const { return impl_->buckets; }

}  // namespace gpumonth::comm
