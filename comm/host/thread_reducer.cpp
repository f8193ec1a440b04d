#include "comm/host/thread_reducer.h"

#include <fmt/format.h>
#include <sys/prctl.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>

#include "comm/host/communication_thread.h"
#include "comm/shard.h"
#include "machine/nvtx.h"

namespace gpumonth::comm {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

}  // namespace

struct ThreadReducer::Impl {
  Impl(Transport& over, float* buffer, std::vector<Segment> all, std::int64_t bucket_bytes,
       const ReducerOptions& options)
      : transport(over), gradients(buffer), segments(std::move(all)), buckets(plan_buckets(segments, bucket_bytes)),
        sharded(options.shard_optimizer && over.ranks().size() > 1), stand_in(options.stand_in),
        owned(sharded ? owned_segments(buckets, over.ranks().rank(), over.ranks().size()) : merged(segments)) {
    launches.assign(segments.size(), false);
    for (const Bucket& bucket : buckets) launches[bucket.last_segment] = true;
    Communicator& ranks = transport.ranks();
    if (ranks.size() == 1) return;
    times.resize(buckets.size());
    for (std::size_t b = 0; b < buckets.size(); ++b) times[b].bytes = stand_in.sent(buckets[b].range.count) * 4;
    communicator = ranks.duplicate("gradients");
    thread = std::thread([this] { run(); });
  }

  // ---- the main thread ----

  void begin(std::int64_t number) {
    if (open) throw std::logic_error("begin_step() before wait() of the step before");
    open = true;
    next_segment = 0;
    step = number;
    cost = {};
  }

  void begin_backward() {
    if (communicator) {
      transport.set_context("backward", step);
    } else {
      open = true;  // again where a GPU gave up recording the step, and enqueues it anew
      next_segment = 0;
    }
    step_start = Clock::now();
  }

  StepCommunication finish() {
    if (!communicator) open = false;  // a GPU's replayed step passes nothing but begin_step() and this
    return cost;
  }

  void ready(int segment) {
    if (!open || segment != next_segment || segment >= static_cast<int>(segments.size())) {
      throw std::logic_error(fmt::format("gradient segment {} is ready, expected {}", segment, next_segment));
    }
    ++next_segment;
    if (!communicator) return;
    if (!launches[segment]) {
      signal.fetch_add(1, std::memory_order_release);  // nobody waits for this one
      return;
    }
    const double now_s = seconds_since(step_start);
    for (; ready_bucket < buckets.size() && buckets[ready_bucket].last_segment == segment; ++ready_bucket) {
      times[ready_bucket].ready_s = now_s;
    }
    post();
  }

  void wait() {
    if (!open || next_segment != static_cast<int>(segments.size())) {
      throw std::logic_error(fmt::format("wait() after {} of {} gradient segments", next_segment, segments.size()));
    }
    open = false;
    if (!communicator) return;
    transport.set_context("waiting for gradients", step);
    const auto begin = Clock::now();
    ready_bucket = 0;
    std::uint32_t now = done.load(std::memory_order_acquire);
    while (static_cast<std::int32_t>(now - steps_waited) <= 0) {
      done.wait(now, std::memory_order_acquire);
      now = done.load(std::memory_order_acquire);
    }
    ++steps_waited;
    cost = {.comm_s = comm_s, .exposed_s = seconds_since(begin)};
  }

  /// The communication thread is idle after wait(), so its communicator is free.
  void require_waited(const char* call) const {
    if (open) throw std::logic_error(fmt::format("{}() before wait()", call));
  }

  void gather(float* parameters) {
    require_waited("gather");
    if (!sharded) return;
    const auto begin = Clock::now();
    const int ranks = communicator->size();
    for (const Bucket& bucket : buckets) {
      for (int owner = 0; owner < ranks; ++owner) {
        const Segment part = owned_part(bucket.range, owner, ranks);
        if (part.count == 0) continue;
        const std::span<float> values(parameters + part.offset, static_cast<std::size_t>(part.count));
        communicator->broadcast(std::as_writable_bytes(values), owner);
      }
    }
    cost.gather_s += seconds_since(begin);
  }

  void sum(double* values, std::int64_t count) {
    require_waited("sum");
    if (communicator) communicator->all_reduce_sum(std::span<double>(values, static_cast<std::size_t>(count)));
  }

  void post() {
    signal.fetch_add(1, std::memory_order_release);
    signal.notify_one();
  }

  // ---- the communication thread ----

  void run() {
    prctl(PR_SET_TIMERSLACK, 1000UL);  // ns: a sleep of 50 us is not stretched to 100
    try {
      while (reduce_step()) {
      }
    } catch (const std::exception& error) {
      communicator->abort(fmt::format("gradient communication: {}", error.what()), 1);
    }
    ended = true;
  }

  /// Waits until `count` signals of all have come; false: stop.
  bool wait_for(std::uint32_t count) {
    for (;;) {
      const std::uint32_t now = signal.load(std::memory_order_acquire);
      if (stop) return false;
      if (static_cast<std::int32_t>(now - count) >= 0) return true;
      signal.wait(now, std::memory_order_acquire);
    }
  }

  bool reduce_step() {
    double inside_s = 0;
    for (std::size_t b = 0; b < buckets.size(); ++b) {
      if (!wait_for(taken + static_cast<std::uint32_t>(buckets[b].last_segment) + 1)) return false;
      const machine::NvtxRange range("bucket");
      times[b].start_s = seconds_since(step_start);
      const std::span<float> values(gradients + buckets[b].range.offset,
                                    static_cast<std::size_t>(stand_in.sent(buckets[b].range.count)));
      communicator->all_reduce_in_place_of(values, stand_in);
      times[b].end_s = seconds_since(step_start);
      inside_s += times[b].end_s - times[b].start_s;
    }
    taken += static_cast<std::uint32_t>(segments.size());
    comm_s = inside_s;
    done.fetch_add(1, std::memory_order_release);
    done.notify_one();
    return true;
  }

  bool end_thread() {
    stop = true;
    post();
    return end_communication_thread(thread, ended);
  }

  Transport& transport;
  float* gradients;
  std::vector<Segment> segments;
  std::vector<Bucket> buckets;
  bool sharded;
  StandIn stand_in;
  std::vector<Segment> owned;
  std::vector<bool> launches;                  // by segment: it is the last of a bucket
  std::unique_ptr<Communicator> communicator;  // null with one rank

  bool open = false;
  int next_segment = 0;
  std::size_t ready_bucket = 0;
  std::int64_t step = 0;

  // Written by one thread before it posts, read by the other after it has seen that.
  Clock::time_point step_start;
  std::vector<BucketTimes> times;
  double comm_s = 0;
  StepCommunication cost;

  std::atomic<std::uint32_t> signal{0};  // segments ready, since the start
  std::atomic<std::uint32_t> done{0};    // steps reduced
  std::uint32_t steps_waited = 0;        // steps waited for
  std::uint32_t taken = 0;               // value of `signal` at the start of the step being reduced
  std::atomic<bool> stop{false}, ended{false};
  std::thread thread;
};

ThreadReducer::ThreadReducer(Transport& transport, float* gradients, std::vector<Segment> segments,
                             std::int64_t bucket_bytes, const ReducerOptions& options)
    : impl_(std::make_unique<Impl>(transport, gradients, std::move(segments), bucket_bytes, options)) {}

ThreadReducer::~ThreadReducer() {
  if (!impl_->end_thread()) impl_.release();
}

void ThreadReducer::begin_step(std::int64_t step) { impl_->begin(step); }
void ThreadReducer::begin_backward() { impl_->begin_backward(); }
void ThreadReducer::ready(int segment) { impl_->ready(segment); }
void ThreadReducer::wait() { impl_->wait(); }
const std::vector<Segment>& ThreadReducer::owned() const { return impl_->owned; }
void ThreadReducer::gather(float* parameters) { impl_->gather(parameters); }
void ThreadReducer::sum(double* values, std::int64_t count) { impl_->sum(values, count); }
StepCommunication ThreadReducer::finish() { return impl_->finish(); }
const std::vector<BucketTimes>& ThreadReducer::timeline() const { return impl_->times; }
const std::vector<Bucket>& ThreadReducer::buckets() const { return impl_->buckets; }

}  // namespace gpumonth::comm
