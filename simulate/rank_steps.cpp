#include "simulate/rank_steps.h"

#include <algorithm>

#include "base/bucket_shares.h"

namespace gpumonth::simulate {
namespace {

using Kind = replay::PassEvent::Kind;

/// Ranks that go through the same steps, each by its own time.
class Ranks {
 public:
  Ranks(const Job& job, const Durations& durations)
      : job_(job), durations_(durations), now_s_(static_cast<std::size_t>(job.shape.ranks())),
        group_(job.full ? static_cast<std::size_t>(job.full->ranks) : now_s_.size()), queues_(now_s_.size() / group_) {}

  SimulatedStep step(std::size_t number) {
    const WorkStep& work = job_.steps[number];
    factors_ = &job_.factors[number * now_s_.size()];
    step_ = {};
    if (communicates()) step_.buckets.resize(job_.bucket_bytes.size());
    step_.begin_s = now_s_[0];
    compute(work.data_s);
    for (int micro = 0; micro < job_.micro_batches; ++micro) passes(work, micro);
    step_.backward_end_s = now_s_[0];
    for_groups([&](std::size_t g) { wait(g, queues_[g].end_s); });
    step_.buckets_end_s = now_s_[0];
    if (communicates()) {
      const double norm_s = job_.full ? job_.full->norm_s : job_.sharding ? job_.sharding->norm_s : 0;
      for (double& now : now_s_) now += norm_s;
    }
    compute(work.optimizer_s);
    step_.update_end_s = now_s_[0];
    if (communicates() && job_.sharding) std::fill(now_s_.begin(), now_s_.end(), latest() + durations_.gather_s);
    step_.gathered_s = now_s_[0];
    step_.agreed_s = latest() + durations_.small_collective_s;
    step_.end_s = step_.agreed_s + work.other_s;
    std::fill(now_s_.begin(), now_s_.end(), step_.end_s);
    return std::move(step_);
  }

 private:
  /// Of ranks whose collectives go one after another.
  struct Queue {
    double end_s = 0, outer_there_s = 0;
    double block_there_s[kBlockSlots] = {};
  };

  bool communicates() const { return now_s_.size() > 1 && !job_.bucket_bytes.empty(); }

  template <class F>
  void for_groups(F&& f) const {
    for (std::size_t g = 0; g < queues_.size(); ++g) f(g);
  }
  double latest(std::size_t first, std::size_t count) const {
    const auto begin = now_s_.begin() + static_cast<std::ptrdiff_t>(first);
    return *std::max_element(begin, begin + static_cast<std::ptrdiff_t>(count));
  }
  double latest() const { return latest(0, now_s_.size()); }

  void compute(double seconds) {
    if (seconds == 0) return;
    for (std::size_t r = 0; r < now_s_.size(); ++r) now_s_[r] += static_cast<double>(factors_[r]) * seconds;
  }
  void wait(std::size_t group, double until_s) {
    for (std::size_t r = group * group_; r < (group + 1) * group_; ++r) now_s_[r] = std::max(now_s_[r], until_s);
  }
  /// That is not communication of gradients behind backward.
  void wait_in_pass(std::size_t group, double until_s) {
    if (group == 0) step_.gathers_waited_s += std::max(0.0, until_s - now_s_[0]);
    wait(group, until_s);
  }

  /// A collective of every group, behind what it has asked for before.
  void post(double seconds) {
    for_groups(
        [&](std::size_t g) { queues_[g].end_s = std::max(queues_[g].end_s, latest(g * group_, group_)) + seconds; });
  }
  /// Of all groups together: ranks of a group have come as far, when its collective before has ended.
  void post_over_groups(double seconds) {
    double begin_s = 0;
    for (const Queue& queue : queues_) begin_s = std::max(begin_s, queue.end_s);
    for (Queue& queue : queues_) queue.end_s = begin_s + seconds;
  }

  void gather_outer() {
    post(durations_.outer_s);
    step_.gathers_s += durations_.outer_s;
    for (Queue& queue : queues_) queue.outer_there_s = queue.end_s;
  }
  void gather(int block) {
    post(durations_.block_s);
    step_.gathers_s += durations_.block_s;
    for (Queue& queue : queues_) queue.block_there_s[block % kBlockSlots] = queue.end_s;
  }
  void need(int block) {
    for_groups([&](std::size_t g) {
      const Queue& queue = queues_[g];
      wait_in_pass(g, block == replay::kNoBlock ? queue.outer_there_s : queue.block_there_s[block % kBlockSlots]);
    });
  }
  void done(int block, bool backward) {
    const int next = block + (backward ? -kBlockSlots : kBlockSlots);
    if (next >= 0 && next < job_.full->depth) gather(next);
  }

  void reduce(std::size_t bucket, bool last) {
    SimulatedStep::Bucket& seen = step_.buckets[bucket];
    // rank 0 is in it from when it is ready, though others are not
    seen = {now_s_[0], std::max(now_s_[0], queues_[0].end_s), 0};
    post(durations_.reduce_s[bucket]);
    if (last && !durations_.replicas_s.empty()) post_over_groups(durations_.replicas_s[bucket]);
    seen.end_s = queues_[0].end_s;
    step_.reduces_s += seen.end_s - seen.start_s;
  }

  /// What ends at end_s shares its links from `from_s` on with something that takes `seconds` of them alone.
  static void delay(double& end_s, double from_s, double seconds) {
    if (end_s > from_s) end_s += std::min(end_s - from_s, seconds);
  }
  void delay_queue(std::size_t group, double from_s, double seconds) {
    Queue& queue = queues_[group];
    delay(queue.end_s, from_s, seconds);
    delay(queue.outer_there_s, from_s, seconds);
    for (double& there_s : queue.block_there_s) delay(there_s, from_s, seconds);
    if (group > 0) return;
    for (SimulatedStep::Bucket& bucket : step_.buckets) {
      const double took_s = bucket.end_s - bucket.start_s;
      delay(bucket.start_s, from_s, bucket.start_s > bucket.ready_s ? seconds : 0);  // behind the one before
      delay(bucket.end_s, from_s, seconds);
      step_.reduces_s += bucket.end_s - bucket.start_s - took_s;
    }
  }

  /// All-to-alls of all groups, which begin together but for slow ranks.
  void exchange(int tensors, double& exchanged_s) {
    const auto sharing = static_cast<std::size_t>(job_.sequence->ranks);
    const double seconds = tensors == 1 ? durations_.exchange_1_s : durations_.exchange_3_s;
    const double before_s = now_s_[0];
    std::vector<double> slowed_s(queues_.size());
    if (durations_.shared_links) {
      for_groups([&](std::size_t g) {
        const double from_s = latest(g * group_, group_);
        slowed_s[g] = std::clamp(queues_[g].end_s - from_s, 0.0, seconds);
        delay_queue(g, from_s, seconds);
      });
    }
    for (std::size_t first = 0; first < now_s_.size(); first += sharing) {
      double longer_s = 0;
      for (std::size_t g = first / group_; g <= (first + sharing - 1) / group_; ++g)
        longer_s = std::max(longer_s, slowed_s[g]);
      const double until_s = latest(first, sharing) + seconds + longer_s;
      std::fill_n(now_s_.begin() + static_cast<std::ptrdiff_t>(first), sharing, until_s);
    }
    exchanged_s += now_s_[0] - before_s;
  }

  void passes(const WorkStep& work, int micro) {
    const bool last = micro + 1 == job_.micro_batches;
    if (job_.full && micro == 0) {
      gather_outer();
      for (int block = 0; block < std::min(kBlockSlots, job_.full->depth); ++block) gather(block);
    }
    pass(job_.passes.forward, work.forward_s, false, last);
    if (job_.full && micro > 0) for_groups([&](std::size_t g) { wait_in_pass(g, queues_[g].end_s); });
    pass(job_.passes.backward, work.backward_s, true, last);
  }

  /// `seconds`: of all micro-batches.
  void pass(const std::vector<replay::PassEvent>& events, double seconds, bool backward, bool last) {
    const double of_one_s = seconds / job_.micro_batches;
    double done_share = 0;
    for (const replay::PassEvent& event : events) {
      compute((event.share - done_share) * of_one_s);
      done_share = event.share;
      switch (event.kind) {
        case Kind::need: need(event.index); break;
        case Kind::done: done(event.index, backward); break;
        case Kind::exchange:
          exchange(event.index, backward ? step_.exchanged_backward_s : step_.exchanged_forward_s);
          break;
        case Kind::ready:
          if (communicates() && (last || job_.full)) reduce(static_cast<std::size_t>(event.index), last);
          break;
      }
    }
    compute((1 - done_share) * of_one_s);
  }

  const Job& job_;
  const Durations& durations_;
  std::vector<double> now_s_;       // of the ranks
  std::size_t group_;               // ranks of a queue
  std::vector<Queue> queues_;       // by group
  const float* factors_ = nullptr;  // of the ranks
  SimulatedStep step_;              // in progress
};

}  // namespace

std::vector<SimulatedStep> rank_steps(const Job& job, const Durations& durations) {
  Ranks ranks(job, durations);
  std::vector<SimulatedStep> steps;
  for (std::size_t s = 0; s < job.steps.size(); ++s) steps.push_back(ranks.step(s));
  return steps;
}

}  // namespace gpumonth::simulate
