// ReplayedStep over a device: what is enqueued, by the same ops as the DiT's step around its model (dit/dit_step.h).
// Included only where it is instantiated.
#pragma once

#include <chrono>
#include <thread>
#include <utility>
#include <vector>

#include "trainer/ops/grad_norm.h"
#include "trainer/ops/step_graph.h"
#include "trainer/ops/step_timer.h"
#include "trainer/replay/replayed_step.h"
#include "trainer/replay/waits.h"

namespace gpumonth::trainer {

template <class Device>
class DeviceReplayedStep : public ReplayedStep {
 public:
  /// `waiting`: what else Waits<Device> is made of.
  template <class... Waiting>
  DeviceReplayedStep(Device device, const ReplaySetup& setup, comm::Transport& transport, Waiting... waiting)
      : ReplayedStep(setup, transport), device_(std::move(device)), at_s_(kSegments + segments().size()),
        waits_(device_, static_cast<int>(at_s_.size()), waiting...), graph_(device_), timer_(device_, kMarks) {}

  void attach(comm::GradientReducer& reducer, comm::Communicator& ranks, bool sharded) override {
    reducer_ = &reducer;
    sharded_ = sharded && ranks.size() > 1;
    watches_buckets_ = ranks.size() == 1;
    const auto buckets = static_cast<std::int64_t>(reducer.buckets().size());
    if (watches_buckets_) timer_ = ops::StepTimer<Device>(device_, kMarks + static_cast<int>(buckets));
    graph_.agree_by([&ranks](bool recorded) { return ranks.all_ranks(recorded); });
    if (!sharded_) return;
    std::int64_t values = 0;
    for (const comm::Segment& s : segments()) values += s.count;
    const std::int64_t cuts = static_cast<std::int64_t>(segments().size()) + buckets;
    partial_norms_ = ops::Buffer<Device, double>(device_, ops::shard_norm_blocks(values, cuts));
  }

  void start(const Batch&, const OptimizerSettings&, std::int64_t step) override {
    reducer_->begin_step(step);
    begin(step);
    timer_.mark(kStarted);
    waits_.begin();
    load();
    last_wait_ = kUpdated;
    graph_.run([this] {
      enqueue_wait(kForwarded, kForwarded);
      reducer_->begin_backward();
      enqueue_backward();
      reducer_->wait();
      timer_.mark(kReduced);
      enqueue_update();
    });
  }

  StepResult finish() override {
    ops::synchronize(device_);
    StepResult result;
    result.forward_s = timer_.seconds(kStarted, kForwarded) - before_forward_s();
    result.backward_s = timer_.seconds(kForwarded, kBackwarded);
    result.optimizer_s = timer_.seconds(kReduced, kUpdated);
    result.communication = reducer_->finish();
    for (std::size_t b = 0; watches_buckets_ && b < reducer_->buckets().size(); ++b)
      result.bucket_ready_s.push_back(timer_.seconds(kForwarded, kMarks + static_cast<int>(b)));
    const std::vector<double> late_s = waits_.late_s();
    end(late_s[kBackwarded], late_s[static_cast<std::size_t>(last_wait_)]);
    return result;
  }

 protected:
  Device device_;

 private:
  enum Mark { kForwarded, kBackwarded, kUpdated, kStarted, kReduced, kMarks };
  enum { kData = kUpdated + 1, kSegments };  // further moments, behind those of the marks of the same name

  /// A GPU idles while data are missing; a CPU rank loads them itself, behind the update.
  double before_forward_s() const { return idle_s() + (Device::kHostMemory ? 0 : now().data_s); }

  void load() {
    const double forward_ends = before_forward_s() + now().forward_s;
    at_s_[kForwarded] = forward_ends;
    for (int s = 0; s < static_cast<int>(segments().size()); ++s)
      at_s_[static_cast<std::size_t>(kSegments + s)] = forward_ends + ready_share(s) * now().backward_s;
    at_s_[kBackwarded] = forward_ends + now().backward_s;
    at_s_[kUpdated] = update_s(sharded_);
    at_s_[kData] = now().data_s + (sharded_ ? 0 : at_s_[kUpdated]);
    waits_.load(at_s_);
  }

  void enqueue_wait(int moment, int mark) {
    waits_.until(moment);
    timer_.mark(mark);
  }

  /// Gradients go to the reducer bucket by bucket, and in the end those segments that have no values.
  void enqueue_backward() {
    int segment = 0, mark = kMarks;
    for (const comm::Bucket& bucket : reducer_->buckets()) {
      if (segment <= bucket.last_segment) waits_.until(kSegments + bucket.last_segment);
      for (; segment <= bucket.last_segment; ++segment) reducer_->ready(segment);
      if (watches_buckets_) timer_.mark(mark++);
    }
    for (; segment < static_cast<int>(segments().size()); ++segment) reducer_->ready(segment);
    enqueue_wait(kBackwarded, kBackwarded);
  }

  /// With sharding the data behind it are counted from the end of the gathering.
  void enqueue_update() {
    if (sharded_) reducer_->sum(partial_norms_.get(), partial_norms_.size());
    waits_.begin();
    waits_.until(kUpdated);
    if (sharded_) {
      reducer_->gather(gradient_buffer());
      waits_.begin();
    }
    timer_.mark(kUpdated);
  }

  void pass_data() override {
    if constexpr (Device::kHostMemory) {
      waits_.until(kData);
      last_wait_ = kData;
    } else {
      std::this_thread::sleep_for(std::chrono::duration<double>(now().data_s));
    }
  }

  std::vector<double> at_s_;  // by moment
  Waits<Device> waits_;
  ops::StepGraph<Device> graph_;
  ops::StepTimer<Device> timer_;
  ops::Buffer<Device, double> partial_norms_;  // of sharding: zeros, summed over the ranks as the DiT's are
  int last_wait_ = kUpdated;                   // of the step in progress: kData where data have passed
  bool sharded_ = false, watches_buckets_ = false;
  comm::GradientReducer* reducer_ = nullptr;
};

}  // namespace gpumonth::trainer
