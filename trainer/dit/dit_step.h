// TrainingStep over DitModel<Device, T>: forward and backward as the model does them, AdamW and EMA behind them.
// Included only where it is instantiated.
#pragma once

#include "machine/nvtx.h"
#include "trainer/dit/consistency.h"
#include "trainer/dit/dit_model.h"
#include "trainer/dit/sharded_store.h"
#include "trainer/dit/small_norms.h"
#include "trainer/dit/whole_store.h"
#include "trainer/ops/accumulate.h"
#include "trainer/ops/step_graph.h"
#include "trainer/ops/step_timer.h"
#include "trainer/step.h"

namespace gpumonth::trainer {

/// With what ranks that share samples exchange over; `stream`: what the step's work will be ordered on. Collective.
inline DitSetup with_exchange(DitSetup setup, void* stream) {
  if (setup.sequence.shared() && !setup.sequence.alone)
    setup.sequence.exchange = setup.transport->make_exchange(setup.sequence.ranks, stream);
  return setup;
}

template <class Device, class T>
class DitStep : public TrainingStep {
 public:
  DitStep(Device device, const DitSetup& setup, const model::ParameterTable& table)
      : table_(table), model_(device, setup, table),
        consistency_(setup.consistency ? std::make_unique<Consistency<Device, T>>(device, setup, table) : nullptr),
        store_(make_store(setup)), adamw_(model_.device(), 1), clipping_(model_.device(), 1),
        micro_batches_(setup.accumulate), sequence_(setup.sequence),
        small_batch_(setup.noise_scale && setup.global_batch > setup.micro_batch() ? setup.micro_batch() : 0),
        graph_(model_.device()), timer_(model_.device(), marks()) {
    if (micro_batches_ > 1 && !sharded_storage())
      sum_ = ops::Buffer<Device, float>(model_.device(), model_.flat_size());
    if (small_batch_ > 0) small_norms_ = SmallNorms<Device>(model_.device(), segments(), micro_batches_);
    store_->begin({setup.threads});
  }

  const std::vector<comm::Segment>& segments() const override { return model_.segments(); }
  float* gradient_buffer() override { return model_.gradient_buffer(); }
  const comm::ShardedStorage* sharded_storage() const override { return store_->sharded_storage(); }
  /// Of one rank of several that is alone there is nothing to go on from: it learns nothing.
  ResumableState* state() override { return sequence_.alone ? nullptr : store_.get(); }

  void attach(comm::GradientReducer& reducer, comm::Communicator& ranks, bool sharded) override {
    reducer_ = &reducer;
    if (ranks.size() == 1 && segment_marks_.empty()) watch_buckets();
    graph_.agree_by([&ranks](bool recorded) { return ranks.all_ranks(recorded); });
    store_->attach(reducer, ranks, sharded);
  }

  void start(const Batch& batch, const OptimizerSettings& settings, std::int64_t step) override {
    store_->forget_host();
    reducer_->begin_step(step);
    timer_.mark(kStarted);
    load(batch, settings, step);
    const machine::NvtxRange range("step");
    graph_.run([this, clip_norm = settings.clip_norm] {
      store_->begin_passes();
      model_.attention().begin_step();
      for (std::int64_t micro = 0; micro < micro_batches_; ++micro) {
        enqueue_forward(micro);
        const machine::NvtxRange backward("backward");
        micro + 1 < micro_batches_ && !sharded_storage() ? enqueue_unreduced(micro) : enqueue_backward(micro);
        timer_.mark(backwarded(micro));
      }
      enqueue_update(clip_norm);
    });
  }

  StepResult finish() override {
    const machine::NvtxRange range("wait");
    ops::synchronize(model_.device());
    StepResult r;
    r.loss_sum = model_.fetch_losses();
    r.grad_norm = fetch_norm();
    int begun = kStarted;
    for (std::int64_t micro = 0; micro < micro_batches_; ++micro) {
      r.unreduced_s = r.backward_s;
      r.forward_s += timer_.seconds(begun, forwarded(micro));
      r.backward_s += timer_.seconds(forwarded(micro), backwarded(micro));
      begun = backwarded(micro);
    }
    if (small_batch_ > 0) r.small_squares = small_norms_.fetch();
    r.optimizer_s = timer_.seconds(kReduced, kUpdated);
    r.communication = reducer_->finish();
    r.exchange_s = model_.attention().exchange_seconds();
    r.exchanged_bytes = model_.attention().exchanged_bytes();
    for (std::size_t b = 0; b < bucket_marks_.size(); ++b)
      r.bucket_ready_s.push_back(timer_.seconds(kForwarded, bucket_marks_[b]));
    return r;
  }

  void describe(runlog::RunInfo& info) const override {
    info.small_batch = small_batch_;
    info.gathers_weights = sharded_storage() != nullptr;
    info.sequence_ranks = sequence_.exchange ? sequence_.ranks : 1;
    info.sequence_share = sequence_.alone ? sequence_.ranks : 1;
  }

  DitModel<Device, T>& model() { return model_; }

 private:
  std::unique_ptr<ParameterStore> make_store(const DitSetup& setup) {
    if (setup.full) return std::make_unique<ShardedStore<Device, T>>(model_, setup, table_);
    return std::make_unique<WholeStore<Device, T>>(model_, setup, table_);
  }

  /// kForwarded and kBackwarded are those of the last micro-batch; behind kMarks come the others', two each.
  enum Mark { kStarted, kForwarded, kBackwarded, kReduced, kUpdated, kMarks };
  int marks() const { return kMarks + 2 * static_cast<int>(micro_batches_ - 1); }
  int forwarded(std::int64_t micro) const {
    return micro + 1 == micro_batches_ ? int{kForwarded} : kMarks + 2 * static_cast<int>(micro);
  }
  int backwarded(std::int64_t micro) const {
    return micro + 1 == micro_batches_ ? int{kBackwarded} : forwarded(micro) + 1;
  }

  /// One rank sends no buckets, which would tell when they are ready: a mark where their last segment is.
  void watch_buckets() {
    segment_marks_.assign(segments().size(), -1);
    int mark_count = marks();
    for (const comm::Bucket& bucket : reducer_->buckets()) {
      int& mark = segment_marks_[static_cast<std::size_t>(bucket.last_segment)];
      if (mark < 0) mark = mark_count++;
      bucket_marks_.push_back(mark);
    }
    timer_ = ops::StepTimer<Device>(model_.device(), mark_count);
  }

  /// Everything that changes between steps goes to device memory here.
  void load(const Batch& batch, const OptimizerSettings& s, std::int64_t step) {
    model_.load(batch, step);
    const ops::AdamWStep constants =
        ops::adamw_step({s.learning_rate, s.beta1, s.beta2, s.epsilon, s.weight_decay, s.ema_decay}, step);
    ops::copy_to_device(model_.device(), adamw_.get(), &constants, sizeof constants);
  }

  void enqueue_forward(std::int64_t micro) {
    const machine::NvtxRange range("forward");
    consistency_ ? consistency_->enqueue_forward(model_, micro) : model_.enqueue_forward(micro);
    timer_.mark(forwarded(micro));
  }

  /// A micro-batch before the last: the first one's gradients begin the sum, others' are added to it.
  void enqueue_unreduced(std::int64_t micro) {
    float* const gradients = micro == 0 ? sum_.get() : model_.gradient_buffer();
    model_.enqueue_backward(micro, gradients, [this, micro, gradients](int segment) {
      const auto [at, count] = segments()[static_cast<std::size_t>(segment)];
      if (small_batch_ > 0) small_norms_.add(micro, segment, gradients + at);
      if (micro > 0) ops::accumulate(model_.device(), count, gradients + at, sum_.get() + at);
    });
  }

  /// Of the last micro-batch, or of each where the reducer sums them: with the sum of the others, gradients go to the
  /// reducer segment by segment.
  void enqueue_backward(std::int64_t micro) {
    reducer_->begin_backward();
    model_.enqueue_backward(micro, model_.gradient_buffer(), [this, micro](int segment) {
      const auto [at, count] = model_.place(segment);
      float* const gradients = model_.gradient_buffer() + at;
      if (small_batch_ > 0) small_norms_.add(micro, segment, gradients);
      if (sum_.size() > 0) ops::accumulate(model_.device(), count, sum_.get() + at, gradients);
      reducer_->ready(segment);
      if (!segment_marks_.empty() && segment_marks_[segment] >= 0) timer_.mark(segment_marks_[segment]);
    });
    if (small_batch_ > 0) small_norms_.finish();
  }

  void enqueue_update(double clip_norm) {
    reducer_->wait();
    timer_.mark(kReduced);
    const machine::NvtxRange range("update");
    store_->update(adamw_.get(), clipping_.get(), clip_norm);
    timer_.mark(kUpdated);
  }

  double fetch_norm() {
    ops::Clipping clipping;
    ops::copy_to_host(model_.device(), &clipping, clipping_.get(), sizeof clipping);
    return clipping.norm;
  }

  const model::ParameterTable table_;
  DitModel<Device, T> model_;
  std::unique_ptr<Consistency<Device, T>> consistency_;  // null: the model's own diffusion loss
  std::unique_ptr<ParameterStore> store_;
  ops::Buffer<Device, ops::AdamWStep> adamw_;    // (1)
  ops::Buffer<Device, ops::Clipping> clipping_;  // (1)
  std::int64_t micro_batches_;
  Sequence sequence_;
  std::int64_t small_batch_;        // samples of a small gradient; 0: their norms are not told
  ops::Buffer<Device, float> sum_;  // flat: the micro-batches' gradients before the last one's, where there are any
  SmallNorms<Device> small_norms_;  // where they are told
  ops::StepGraph<Device> graph_;
  ops::StepTimer<Device> timer_;
  std::vector<int> segment_marks_, bucket_marks_;  // of timer_; a segment that ends no bucket has -1
  comm::GradientReducer* reducer_ = nullptr;
};

}  // namespace gpumonth::trainer
