// ReplayedStep over a device: what is enqueued, by the same ops as the DiT's step around its model (dit/dit_step.h).
// Included only where it is instantiated.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "trainer/ops/grad_norm.h"
#include "trainer/ops/step_graph.h"
#include "trainer/ops/step_timer.h"
#include "trainer/replay/replayed_exchange.h"
#include "trainer/replay/replayed_shards.h"
#include "trainer/replay/replayed_step.h"
#include "trainer/replay/waits.h"

namespace gpumonth::trainer {

template <class Device>
class DeviceReplayedStep : public ReplayedStep {
 public:
  /// `waiting`: what else Waits<Device> is made of.
  template <class... Waiting>
  DeviceReplayedStep(Device device, const ReplaySetup& setup, comm::Transport& transport, Waiting... waiting)
      : ReplayedStep(setup, transport), device_(std::move(device)), micro_batches_(config().accumulate),
        make_waits_([this, waiting...](int moments) { waits_.emplace(device_, moments, waiting...); }), graph_(device_),
        timer_(device_, marks()) {
    if (layout())
      shards_ = std::make_unique<ReplayedShards<Device>>(device_, *layout(), transport, gradient_buffer(),
                                                         gathers_bf16(), micro_batches_);
  }

  const comm::ShardedStorage* sharded_storage() const override { return shards_ ? &shards_->storage() : nullptr; }

  void attach(comm::GradientReducer& reducer, comm::Communicator& ranks, bool sharded) override {
    reducer_ = &reducer;
    sharded_ = sharded && ranks.size() > 1;
    watches_buckets_ = ranks.size() == 1;
    const auto buckets = static_cast<std::int64_t>(reducer.buckets().size());
    if (watches_buckets_) timer_ = ops::StepTimer<Device>(device_, marks() + static_cast<int>(buckets));
    graph_.agree_by([&ranks](bool recorded) { return ranks.all_ranks(recorded); });
    passes_ = passes(reducer.buckets());
    const std::size_t a_micro_batch = passes_.forward.size() + passes_.backward.size() + 2;
    at_s_.resize(kPasses + static_cast<std::size_t>(micro_batches_) * a_micro_batch);
    make_waits_(static_cast<int>(at_s_.size()));
    if (config().sequence_parallel > 1)
      exchange_ = std::make_unique<ReplayedExchange<Device>>(device_, transport(), config().sequence_parallel,
                                                             exchanged_bytes(), exchanges_a_step(), stream());
    if (!sharded_ && !layout()) return;
    std::int64_t values = 0;
    for (const comm::Segment& s : segments()) values += s.count;
    const std::int64_t cuts = static_cast<std::int64_t>(segments().size()) + buckets;
    const std::int64_t sums =
        layout() ? ops::norm_blocks(layout()->largest_size()) : ops::shard_norm_blocks(values, cuts);
    partial_norms_ = ops::Buffer<Device, double>(device_, sums);
  }

  void start(const Batch&, const OptimizerSettings&, std::int64_t step) override {
    reducer_->begin_step(step);
    begin(step);
    timer_.mark(kStarted);
    waits_->begin();
    load();
    last_wait_ = kUpdateEnds;
    graph_.run([this] {
      reducer_->begin_passes();
      if (exchange_) exchange_->begin_step();
      int moment = kPasses;
      for (int micro = 0; micro < micro_batches_; ++micro) {
        const bool reduced = layout() || micro + 1 == micro_batches_;
        moment = enqueue_pass(passes_.forward, moment, reduced, forwarded(micro));
        if (reduced) reducer_->begin_backward();
        moment = enqueue_pass(passes_.backward, moment, reduced, backwarded(micro));
      }
      reducer_->wait();
      timer_.mark(kReduced);
      enqueue_update();
    });
  }

  StepResult finish() override {
    ops::synchronize(device_);
    StepResult result;
    int begun = kStarted;
    for (int micro = 0; micro < micro_batches_; ++micro) {
      result.unreduced_s = result.backward_s;
      result.forward_s += timer_.seconds(begun, forwarded(micro));
      result.backward_s += timer_.seconds(forwarded(micro), backwarded(micro));
      begun = backwarded(micro);
    }
    result.forward_s -= before_forward_s();
    result.optimizer_s = timer_.seconds(kReduced, kUpdated);
    result.communication = reducer_->finish();
    if (exchange_) {
      result.exchange_s = exchange_->seconds();
      result.exchanged_bytes = exchange_->bytes();
    }
    for (std::size_t b = 0; watches_buckets_ && b < reducer_->buckets().size(); ++b)
      result.bucket_ready_s.push_back(timer_.seconds(forwarded(micro_batches_ - 1), marks() + static_cast<int>(b)));
    const std::vector<double> late_s = waits_->late_s();
    end(late_s.back(), late_s[static_cast<std::size_t>(last_wait_)]);
    return result;
  }

 protected:
  Device device_;

 private:
  using Events = std::vector<replay::PassEvent>;
  using Kind = replay::PassEvent::Kind;

  /// Behind them come two for each micro-batch, and then one for each bucket that is watched.
  enum Mark { kStarted, kReduced, kUpdated, kMarks };
  int forwarded(int micro) const { return kMarks + 2 * micro; }
  int backwarded(int micro) const { return forwarded(micro) + 1; }
  int marks() const { return forwarded(micro_batches_); }

  /// Moments. Behind them come those of each pass: of its events, and its end.
  enum Moment { kUpdateEnds, kDataEnds, kPasses };

  int exchanges_a_step() const {
    int count = 0;
    for (const Events* events : {&passes_.forward, &passes_.backward})
      for (const replay::PassEvent& event : *events) count += event.kind == Kind::exchange;
    return count * micro_batches_;
  }

  /// A GPU idles while data are missing; a CPU rank loads them itself, behind the update.
  double before_forward_s() const { return idle_s() + (Device::kHostMemory ? 0 : now().data_s); }

  void load() {
    at_s_[kUpdateEnds] = update_s();
    at_s_[kDataEnds] = now().data_s + (sharded_ ? 0 : at_s_[kUpdateEnds]);
    std::size_t moment = kPasses;
    double begins_s = before_forward_s();
    const auto load_pass = [&](const Events& events, double of_all_s) {
      const double pass_s = of_all_s / micro_batches_;
      for (const replay::PassEvent& event : events) at_s_[moment++] = begins_s + event.share * pass_s;
      at_s_[moment++] = begins_s += pass_s;
    };
    for (int micro = 0; micro < micro_batches_; ++micro) {
      load_pass(passes_.forward, now().forward_s);
      load_pass(passes_.backward, now().backward_s);
    }
    waits_->load(at_s_);
  }

  /// The pass's moments begin with `moment`; those of the next one. Gradients go to the reducer bucket by bucket, and in the end
  /// those segments that have no values.
  int enqueue_pass(const Events& events, int moment, bool reduced, int mark) {
    int segment = 0, bucket_mark = marks();
    const auto ready_to = [&](int end) {
      for (; segment < end; ++segment) reducer_->ready(segment);
    };
    for (const replay::PassEvent& event : events) {
      if (event.kind == Kind::ready && !reduced) {
        ++moment;
        continue;
      }
      waits_->until(moment++);
      switch (event.kind) {
        case Kind::need: paused([&] { reducer_->need(event.index); }); break;
        case Kind::done: reducer_->done(event.index); break;
        case Kind::exchange: paused([&] { exchange_->run(event.index); }); break;
        case Kind::ready:
          ready_to(reducer_->buckets()[static_cast<std::size_t>(event.index)].last_segment + 1);
          if (watches_buckets_) timer_.mark(bucket_mark++);
          break;
      }
    }
    if (&events == &passes_.backward && reduced) ready_to(static_cast<int>(segments().size()));
    waits_->until(moment);
    timer_.mark(mark);
    return moment + 1;
  }

  /// What comes after it is as much later as it takes.
  template <class Work>
  void paused(Work&& work) {
    waits_->pause();
    work();
    waits_->resume();
  }

  /// With sharding the data behind it are counted from the end of the gathering.
  void enqueue_update() {
    if (partial_norms_.size() > 0) reducer_->sum(partial_norms_.get(), partial_norms_.size());
    waits_->begin();
    waits_->until(kUpdateEnds);
    if (sharded_) {
      reducer_->gather(gradient_buffer());
      waits_->begin();
    }
    timer_.mark(kUpdated);
  }

  void pass_data() override {
    if constexpr (Device::kHostMemory) {
      waits_->until(kDataEnds);
      last_wait_ = kDataEnds;
    } else {
      std::this_thread::sleep_for(std::chrono::duration<double>(now().data_s));
    }
  }

  int micro_batches_;
  std::function<void(int)> make_waits_;  // of so many moments
  replay::PassEvents passes_;            // of a micro-batch
  std::vector<double> at_s_;             // by moment
  std::optional<Waits<Device>> waits_;
  ops::StepGraph<Device> graph_;
  ops::StepTimer<Device> timer_;
  std::unique_ptr<ReplayedShards<Device>> shards_;      // null: weights are whole
  std::unique_ptr<ReplayedExchange<Device>> exchange_;  // null: samples are
  ops::Buffer<Device, double> partial_norms_;           // of sharding: zeros, summed over the ranks as the DiT's are
  int last_wait_ = kUpdateEnds;                         // of the step in progress: kDataEnds where data have passed
  bool sharded_ = false, watches_buckets_ = false;
  comm::GradientReducer* reducer_ = nullptr;
};

}  // namespace gpumonth::trainer
