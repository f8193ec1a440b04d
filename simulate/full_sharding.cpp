#include "simulate/full_sharding.h"

#include <algorithm>

#include "base/bucket_shares.h"
#include "model/gradient_segments.h"

namespace gpumonth::simulate {
namespace {

/// Ranks that go through the same step, each by its own time.
class FullStep {
 public:
  FullStep(const Job& job, const FullDurations& durations, std::size_t step, std::vector<double>& now_s)
      : work_(job.steps[step]), factors_(&job.factors[step * now_s.size()]), full_(*job.full), durations_(durations),
        now_s_(now_s), block_there_s_(static_cast<std::size_t>(full_.depth)) {}

  SimulatedStep run() {
    SimulatedStep step;
    step.begin_s = now_s_[0];
    compute(work_.data_s);
    forward();
    backward(step);
    step.backward_end_s = now_s_[0];
    wait(queue_end_s_);
    step.buckets_end_s = now_s_[0];
    for (double& now : now_s_) now += full_.norm_s;
    compute(work_.optimizer_s);
    step.update_end_s = step.gathered_s = now_s_[0];
    const double all_s = latest() + durations_.small_collective_s;
    step.agreed_s = all_s;
    step.end_s = all_s + work_.other_s;
    std::fill(now_s_.begin(), now_s_.end(), step.end_s);
    step.gathers_s = gathers_s_;
    step.gathers_waited_s = waited_s_;
    return step;
  }

 private:
  double latest() const { return *std::max_element(now_s_.begin(), now_s_.end()); }

  void compute(double seconds) {
    for (std::size_t r = 0; r < now_s_.size(); ++r) now_s_[r] += static_cast<double>(factors_[r]) * seconds;
  }
  void wait(double until_s) {
    for (double& now : now_s_) now = std::max(now, until_s);
  }
  /// All ranks have asked for it; when it has ended.
  double post(double seconds) { return queue_end_s_ = std::max(queue_end_s_, latest()) + seconds; }
  void gather_block(int block) {
    block_there_s_[static_cast<std::size_t>(block)] = post(durations_.block_s);
    gathers_s_ += durations_.block_s;
  }
  void need(double there_s) {
    waited_s_ += std::max(0.0, there_s - now_s_[0]);
    wait(there_s);
  }
  void need_block(int block) { need(block_there_s_[static_cast<std::size_t>(block)]); }

  void forward() {
    const double outer_there_s = post(durations_.outer_s);
    gathers_s_ += durations_.outer_s;
    for (int block = 0; block < std::min(kBlockSlots, full_.depth); ++block) gather_block(block);
    need(outer_there_s);
    compute(full_.forward_shares.front() * work_.forward_s);
    for (int block = 0; block < full_.depth; ++block) {
      need_block(block);
      compute(full_.forward_shares[static_cast<std::size_t>(block) + 1] * work_.forward_s);
      if (block + kBlockSlots < full_.depth) gather_block(block + kBlockSlots);
    }
    compute(full_.forward_shares.back() * work_.forward_s);
  }

  /// Buckets are the segments.
  void backward(SimulatedStep& step) {
    const model::SegmentOrder order{full_.depth};
    double done_s = 0;  // of the recorded backward
    for (int s = 0; s < order.count(); ++s) {
      const bool ends_block = order.is_block(s) && order.in_block(s) == model::SegmentOrder::kAdaln;
      const int block = order.layer(s);
      if (ends_block && block > 0) need_block(block - 1);
      const double ready_s = work_.ready_s[static_cast<std::size_t>(s)];
      compute(ready_s - done_s);
      done_s = ready_s;
      SimulatedStep::Bucket bucket{now_s_[0], std::max(now_s_[0], queue_end_s_), 0};
      bucket.end_s = post(durations_.reduce_s[static_cast<std::size_t>(s)]);
      step.buckets.push_back(bucket);
      if (ends_block && block >= kBlockSlots) gather_block(block - kBlockSlots);
    }
    compute(work_.backward_s - done_s);
  }

  const WorkStep& work_;
  const float* factors_;  // of the ranks
  const FullSharding& full_;
  const FullDurations& durations_;
  std::vector<double>& now_s_;  // of the ranks
  std::vector<double> block_there_s_;
  double queue_end_s_ = 0, gathers_s_ = 0, waited_s_ = 0;  // waited_s_: of rank 0
};

}  // namespace

std::vector<SimulatedStep> full_sharded_steps(const Job& job, const FullDurations& durations) {
  std::vector<double> now_s(static_cast<std::size_t>(job.shape.ranks()));
  std::vector<SimulatedStep> steps;
  for (std::size_t s = 0; s < job.steps.size(); ++s) steps.push_back(FullStep(job, durations, s, now_s).run());
  return steps;
}

}  // namespace gpumonth::simulate
