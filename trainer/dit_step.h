// Step over Dit<Device, T>: noising, forward, loss, backward, AdamW. Included only where it is instantiated.
#pragma once

#include <numeric>
#include <type_traits>

#include "trainer/diffusion.h"
#include "trainer/dit_impl.h"
#include "trainer/ops/diffusion_loss.h"
#include "trainer/ops/grad_norm.h"
#include "trainer/ops/noising.h"
#include "trainer/ops/recording.h"
#include "trainer/ops/timeline.h"
#include "trainer/optimizer_state.h"
#include "trainer/step.h"

namespace gpumonth::trainer {

template <class Device, class T>
class DitStep : public Step {
 public:
  DitStep(Device device, const StepSetup& setup, const model::ParameterTable& table)
      : device_(device), setup_(setup), flat_size_(table.flat_size()), memory_(device_, setup.transport),
        dit_(device_, setup.model, table, setup.local_batch, memory_, setup.recompute),
        state_(device_, memory_, flat_size_),
        partial_norms_(memory_.template take<double>(ops::norm_blocks(flat_size_))), owned_(memory_.owned(events())),
        x_0_(device_, setup.local_batch * setup.model.latent_size()), noise_(device_, x_0_.size()),
        x_t_(device_, x_0_.size()), t_(device_, setup.local_batch), labels_(device_, setup.local_batch),
        schedule_(device_, kDiffusionSteps), loss_(device_, setup.local_batch), adamw_(device_, 1),
        clipping_(device_, 1), recording_(device_), timeline_(device_, kMarks), losses_(setup.local_batch) {
    if constexpr (!std::is_same_v<T, float>) typed_ = ops::Buffer<Device, T>(device_, typed_size());
    const auto coefficients = step_coefficients(DiffusionSchedule());
    ops::copy_to_device(device_, schedule_.get(), coefficients.data(), schedule_.bytes());
    dit_.bind(state_.parameters(), Device::kPacksWeights ? nullptr : typed(0));
  }

  const std::vector<comm::Segment>& events() const override { return dit_.offsets().segments; }

  void attach(comm::GradientReducer& reducer, comm::Communicator& ranks, bool sharded) override {
    reducer_ = &reducer;
    recording_.agree_by([&ranks](bool recorded) { return ranks.all_ranks(recorded); });
    if (!sharded || ranks.size() == 1) return;
    state_.shard(reducer.owned(), ranks);
    partial_norms_ = ops::Buffer<Device, double>(device_, shard_norm_blocks());
  }

  void start(const Batch& batch, const OptimizerSettings& settings, std::int64_t step) override {
    state_.forget_host();
    reducer_->begin_step(step);
    timeline_.mark(kStarted);
    load(batch, settings, step);
    recording_.run([this, clip_norm = settings.clip_norm] {
      enqueue_forward();
      timeline_.mark(kForwarded);
      reducer_->begin_backward();
      dit_.backward(labels_.get(), setup_.gradients, [this](int event) { reducer_->ready(event); });
      timeline_.mark(kBackwarded);
      reducer_->wait();
      timeline_.mark(kReduced);
      enqueue_update(clip_norm);
      timeline_.mark(kUpdated);
    });
  }

  StepResult finish() override {
    ops::synchronize(device_);
    StepResult r;
    r.loss_sum = fetch_losses();
    r.grad_norm = fetch_norm();
    r.forward_s = timeline_.seconds(kStarted, kForwarded);
    r.backward_s = timeline_.seconds(kForwarded, kBackwarded);
    r.optimizer_s = timeline_.seconds(kReduced, kUpdated);
    r.communication = reducer_->finish();
    return r;
  }

  double forward(const Batch& batch, std::int64_t step, std::vector<double>* losses) override {
    load(batch, {}, step);
    enqueue_forward();
    const double sum = fetch_losses();
    if (losses) *losses = losses_;
    return sum;
  }

  void backward() override {
    dit_.backward(labels_.get(), setup_.gradients, [](int) {});
    ops::synchronize(device_);
  }

  double update(const OptimizerSettings& settings, std::int64_t step) override {
    state_.forget_host();
    load_constants(settings, step);
    enqueue_update(settings.clip_norm);
    return fetch_norm();
  }

  bool owns_state() const override { return memory_.part() == 0; }
  bool shares_state() const override { return memory_.parts() > 1; }

  TrainingState state() override { return state_.host(); }

  void state_changed() override {
    memory_.barrier();
    state_.write_back();
    pack_events();
    ops::synchronize(device_);
    memory_.barrier();
  }

  std::vector<float> prediction() override {
    const model::ModelConfig& m = setup_.model;
    const std::int64_t size = setup_.local_batch * m.latent_size() / m.in_channels * m.out_channels();
    ops::Buffer<Device, float> image(device_, size);
    ops::unpatchify(device_, dit_.tokens(), ops::latent_shape(m), setup_.local_batch,
                    static_cast<std::int64_t>(m.out_channels()), image.get());
    return to_host(image.get(), size);
  }

  std::vector<float> gradients() override { return to_host(setup_.gradients, flat_size_); }

 protected:
  std::vector<float> to_host(const float* values, std::int64_t count) {
    std::vector<float> host(static_cast<std::size_t>(count));
    ops::copy_to_host(device_, host.data(), values, host.size() * sizeof(float));
    return host;
  }

  Device device_;
  StepSetup setup_;
  std::int64_t flat_size_;
  StateMemory<Device> memory_;
  Dit<Device, T> dit_;
  OptimizerState<Device> state_;
  ops::Buffer<Device, double> partial_norms_;

 private:
  enum Mark { kStarted, kForwarded, kBackwarded, kReduced, kUpdated, kMarks };

  /// Everything that changes between steps goes to device memory here.
  void load(const Batch& batch, const OptimizerSettings& settings, std::int64_t step) {
    const std::int64_t size = setup_.model.latent_size();
    ops::copy_to_device(device_, x_0_.get(), batch.latents.data(), x_0_.bytes());
    ops::copy_to_device(device_, t_.get(), batch.t.data(), t_.bytes());
    ops::copy_to_device(device_, labels_.get(), batch.labels.data(), labels_.bytes());
    if (batch.noise.empty()) {
      ops::draw_noise(device_, setup_.seed, static_cast<std::uint32_t>(step),
                      static_cast<std::uint32_t>(batch.first_sample), setup_.local_batch, size, noise_.get());
    } else {
      ops::copy_to_device(device_, noise_.get(), batch.noise.data(), noise_.bytes());
    }
    load_constants(settings, step);
  }

  void load_constants(const OptimizerSettings& s, std::int64_t step) {
    const ops::AdamWStep constants =
        ops::adamw_step({s.learning_rate, s.beta1, s.beta2, s.epsilon, s.weight_decay, s.ema_decay}, step);
    ops::copy_to_device(device_, adamw_.get(), &constants, sizeof constants);
  }

  void enqueue_forward() {
    ops::add_noise(device_, x_0_.get(), noise_.get(), t_.get(), schedule_.get(), setup_.local_batch,
                   setup_.model.latent_size(), x_t_.get());
    dit_.forward(x_t_.get(), t_.get(), labels_.get());
    const ops::DiffusionLossInput input{dit_.tokens(),      x_0_.get(),
                                        noise_.get(),       t_.get(),
                                        schedule_.get(),    ops::latent_shape(setup_.model),
                                        setup_.local_batch, setup_.model.learn_sigma};
    ops::diffusion_loss(device_, input, 1.0f / static_cast<float>(setup_.global_batch), dit_.token_gradient(),
                        loss_.get(), static_cast<double*>(nullptr), static_cast<double*>(nullptr));
  }

  void enqueue_update(double clip_norm) { state_.sharded() ? update_shard(clip_norm) : update_all(clip_norm); }

  /// This rank's part; then every rank gets everybody's parameters, and packs them all.
  void update_shard(double clip_norm) {
    // The ranks' partial sums lie one on the other and are added by position.
    std::int64_t block = 0;
    for (const auto& [at, count] : state_.owned()) {
      const std::int64_t blocks = ops::norm_blocks(count);
      ops::squares_by_block(device_, setup_.gradients + at, count, 0, blocks, partial_norms_.get() + block);
      block += blocks;
    }
    // no values, so zero: the last step's sums stand there
    ops::squares_by_block(device_, setup_.gradients, 0, 0, partial_norms_.size() - block, partial_norms_.get() + block);
    reducer_->sum(partial_norms_.get(), partial_norms_.size());
    ops::clipping(device_, partial_norms_.get(), partial_norms_.size(), clip_norm, clipping_.get());
    state_.update_owned(adamw_.get(), clipping_.get(), setup_.gradients);
    reducer_->gather(state_.parameters());
    pack_events();
  }

  /// The norm's blocks, then AdamW's events, are shared out over the ranks that hold the state in common.
  void update_all(double clip_norm) {
    const std::int64_t blocks = ops::norm_blocks(flat_size_);
    const std::int64_t first = blocks * memory_.part() / memory_.parts();
    const std::int64_t last = blocks * (memory_.part() + 1) / memory_.parts();
    ops::squares_by_block(device_, setup_.gradients, flat_size_, first, last, partial_norms_.get() + first);
    memory_.barrier();
    ops::clipping(device_, partial_norms_.get(), blocks, clip_norm, clipping_.get());
    if constexpr (Device::kPacksWeights) {
      for (const int event : owned_) {
        const comm::Segment part = events()[event];
        update_segment(part);
        dit_.pack(typed(part.offset), event);
      }
    } else {
      update_segment({0, flat_size_});
    }
    memory_.barrier();
  }

  void update_segment(const comm::Segment& part) {
    state_.update(part, adamw_.get(), clipping_.get(), setup_.gradients, rounded(part.offset));
  }

  /// typed(at) where AdamW fills it, null where it is the masters.
  ops::bf16* rounded(std::int64_t at) {
    if constexpr (std::is_same_v<T, float>)
      return nullptr;
    else
      return typed(at);
  }

  /// From the fp32 parameters to what the products read.
  void pack_events() {
    if constexpr (!Device::kPacksWeights) {
      if constexpr (!std::is_same_v<T, float>) ops::convert(device_, flat_size_, state_.parameters(), typed(0));
      return;
    }
    const std::vector<comm::Segment>& all = events();
    for (const int event : owned_) {
      const auto [at, count] = all[event];
      if constexpr (!std::is_same_v<T, float>) ops::convert(device_, count, state_.parameters() + at, typed(at));
      dit_.pack(typed(at), event);
    }
  }

  /// The same on every rank: no rank owns more than an equal part and a block a segment.
  std::int64_t shard_norm_blocks() const {
    return ops::norm_blocks(flat_size_) + 2 * static_cast<std::int64_t>(events().size() + reducer_->buckets().size());
  }

  /// The parameters in T from flat offset `at` on: the masters themselves, a copy of the whole, or, where products
  /// read packed weights, room for one event on its way to pack().
  T* typed(std::int64_t at) {
    if constexpr (std::is_same_v<T, float>) return state_.parameters() + at;
    return Device::kPacksWeights ? typed_.get() : typed_.get() + at;
  }
  std::int64_t typed_size() const {
    if (!Device::kPacksWeights) return flat_size_;
    std::int64_t most = 0;
    for (const comm::Segment& event : events()) most = std::max(most, event.count);
    return most;
  }

  double fetch_losses() {
    ops::copy_to_host(device_, losses_.data(), loss_.get(), loss_.bytes());
    return std::accumulate(losses_.begin(), losses_.end(), 0.0);
  }
  double fetch_norm() {
    ops::Clipping clipping;
    ops::copy_to_host(device_, &clipping, clipping_.get(), sizeof clipping);
    return clipping.norm;
  }

  std::vector<int> owned_;  // events that this rank updates
  ops::Buffer<Device, T> typed_;
  ops::Buffer<Device, float> x_0_, noise_, x_t_;  // (B, C, [F,] H, W)
  ops::Buffer<Device, std::int32_t> t_, labels_;  // (B)
  ops::Buffer<Device, StepCoefficients> schedule_;
  ops::Buffer<Device, double> loss_;             // (B)
  ops::Buffer<Device, ops::AdamWStep> adamw_;    // (1)
  ops::Buffer<Device, ops::Clipping> clipping_;  // (1)
  ops::Recording<Device> recording_;
  ops::Timeline<Device> timeline_;
  comm::GradientReducer* reducer_ = nullptr;
  std::vector<double> losses_;
};

}  // namespace gpumonth::trainer
