// Model over Dit<Device, T>: parameters, noising, forward, loss, backward, the reverse process. Included only where it is instantiated.
#pragma once

#include <numeric>
#include <stdexcept>
#include <type_traits>

#include "trainer/dit/dit_impl.h"
#include "trainer/model.h"
#include "trainer/ops/diffusion.h"
#include "trainer/ops/diffusion_loss.h"
#include "trainer/ops/noising.h"
#include "trainer/ops/reverse_step.h"

namespace gpumonth::trainer {

template <class Device, class T>
class DitModel final : public Model {
 public:
  /// Parameters are zero. Collective over setup.transport.
  DitModel(Device device, const DitSetup& setup, const model::ParameterTable& table)
      : device_(device), setup_(setup), shape_(part_shape(setup.model, setup.sequence)),
        memory_(device_, setup.full ? nullptr : setup.transport),
        dit_(device_, setup.model, DitOffsets(setup.model, table, setup.full ? Placement::slots : Placement::flat),
             setup.micro_batch(), memory_, setup.keep, setup.sequence, setup.accumulate),
        owned_(memory_.owned(segments())), parameters_(make_parameters()),
        x_0_(device_, setup.local_batch * latent_size()), noise_(device_, x_0_.size()),
        x_t_(device_, setup.micro_batch() * latent_size()), t_(device_, setup.local_batch),
        labels_(device_, setup.local_batch), schedule_(device_, ops::kDiffusionSteps),
        loss_(device_, setup.local_batch), losses_(setup.local_batch) {
    if (setup.gradients) {
      gradients_ = {setup.gradients, setup.gradients.get(), offsets().size};
    } else if (setup.keep != Keep::nothing) {
      gradients_ = ops::Buffer<Device, float>(device_, offsets().size);
    }
    setup_.consistency = nullptr;  // a teacher's weights are for those who make the model
    if constexpr (!std::is_same_v<T, float>) compute_weights_ = make_compute_weights();
    const auto coefficients = ops::step_coefficients(ops::DiffusionSchedule());
    ops::copy_to_device(device_, schedule_.get(), coefficients.data(), schedule_.bytes());
    dit_.bind(master_weights(), Device::kPacksWeights ? nullptr : compute_weights(0));
  }

  float* parameters() override {
    if (Device::kHostMemory) return master_weights();
    if (host_.empty()) host_ = to_host(parameters_);
    return host_.data();
  }

  void parameters_changed() override {
    memory_.barrier();
    if (!host_.empty()) ops::copy_to_device(device_, master_weights(), host_.data(), parameters_.bytes());
    forget_host();
    pack_owned();
    ops::synchronize(device_);
    memory_.barrier();
  }

  double forward(const Batch& batch, std::int64_t step, std::vector<double>* losses) override {
    load(batch, step);
    enqueue_forward(0);
    const double sum = fetch_losses();
    if (losses) *losses = losses_;
    return sum;
  }

  std::vector<float> prediction() override {
    const model::ModelConfig& m = setup_.model;
    ops::Buffer<Device, float> image(device_, output_size());
    ops::unpatchify(device_, dit_.tokens(), shape_, setup_.local_batch, static_cast<std::int64_t>(m.out_channels()),
                    image.get());
    return to_host(image);
  }

  void backward() override {
    if (setup_.keep == Keep::nothing) throw std::logic_error("backward() of a model made for forward alone");
    enqueue_backward(0, gradients_.get(), [](int) {});
    ops::synchronize(device_);
  }

  std::vector<float> gradients() override { return to_host(gradients_); }

  void start_samples(const SampleBatch& samples, const std::vector<float>& noise) override {
    sampled_ = samples;
    const std::int64_t count = sample_count(), size = latent_size();
    const bool guided = samples.guidance != 1;
    if (count * (guided ? 2 : 1) != setup_.local_batch)
      throw std::invalid_argument("start_samples: S is not B or B / 2");
    std::vector<std::int32_t> labels = samples.labels;
    labels.resize(static_cast<std::size_t>(setup_.local_batch), setup_.model.num_classes);
    ops::copy_to_device(device_, labels_.get(), labels.data(), labels_.bytes());
    for (std::int64_t row = 0; row < setup_.local_batch; row += count) take_noise(0, noise, x_t_.get() + row * size);
    if (output_.size() == 0) output_ = ops::Buffer<Device, float>(device_, output_size());
  }

  void denoise(const ops::ReverseStep& step, const std::vector<float>& noise) override {
    const std::vector<std::int32_t> t(static_cast<std::size_t>(setup_.local_batch), step.t);
    ops::copy_to_device(device_, t_.get(), t.data(), t_.bytes());
    if (step.adds_noise) take_noise(step.number, noise, noise_.get());
    enqueue_output(x_t_.get(), t_.get(), labels_.get(), output_.get());
    ops::reverse_step(device_,
                      {.output = output_.get(),
                       .noise = noise_.get(),
                       .samples = sample_count(),
                       .channels = shape_.channels,
                       .out_channels = setup_.model.out_channels(),
                       .plane = shape_.plane(),
                       .guided = sampled_.guidance != 1,
                       .guidance = static_cast<float>(sampled_.guidance)},
                      step, x_t_.get());
  }

  void wait() override { ops::synchronize(device_); }

  std::vector<float> samples() override {
    std::vector<float> host = to_host(x_t_);
    host.resize(static_cast<std::size_t>(sample_count() * latent_size()));
    return host;
  }

  // For the training step: what it enqueues, and the memory that it works on.

  Device& device() { return device_; }
  StateMemory<Device>& memory() { return memory_; }
  const StateMemory<Device>& memory() const { return memory_; }
  const DitOffsets& offsets() const { return dit_.offsets(); }
  const std::vector<comm::Segment>& segments() const { return offsets().segments; }
  /// Where a segment lies in the memory that `offsets()` place it in, of parameters and of gradients.
  comm::Segment place(int segment) const { return {offsets().places[segment], segments()[segment].count}; }
  const std::vector<int>& owned() const { return owned_; }     ///< segments that this rank updates and packs
  std::int64_t flat_size() const { return offsets().size; }    ///< of parameters that are whole
  float* master_weights() const { return parameters_.get(); }  ///< fp32 parameters on the device
  float* gradient_buffer() const { return gradients_.get(); }

  /// The batch, of shared samples this rank's part, to device memory.
  void load(const Batch& batch, std::int64_t step) {
    ops::copy_to_device(device_, x_0_.get(), own_part(batch.latents), x_0_.bytes());
    ops::copy_to_device(device_, t_.get(), batch.t.data(), t_.bytes());
    ops::copy_to_device(device_, labels_.get(), batch.labels.data(), labels_.bytes());
    const auto number = static_cast<std::uint32_t>(step), sample = static_cast<std::uint32_t>(batch.first_sample);
    if (!batch.noise.empty()) {
      ops::copy_to_device(device_, noise_.get(), own_part(batch.noise), noise_.bytes());
    } else if (setup_.sequence.shared()) {
      ops::draw_noise_part(device_, setup_.seed, number, sample, setup_.local_batch,
                           part_of_planes(setup_.model, setup_.sequence), noise_.get());
    } else {
      ops::draw_noise(device_, setup_.seed, number, sample, setup_.local_batch, latent_size(), noise_.get());
    }
  }

  /// x_t of one micro-batch, samples micro x b .. (micro + 1) x b - 1 of the batch.
  void enqueue_noising(std::int64_t micro) {
    ops::add_noise(device_, x_0(micro), noise(micro), t(micro), schedule_.get(), setup_.micro_batch(), latent_size(),
                   x_t_.get());
  }
  /// The network on x_t, for a loss that reads tokens() and writes token_gradient() and losses_of_samples().
  void enqueue_network(std::int64_t micro) { dit_.forward(x_t_.get(), t(micro), labels(micro)); }
  /// The network on b other inputs, (b, C, [F,] H, W), (b), (b) -> (b, C_out, [F,] H, W). What the last pass left for
  /// backward is gone.
  void enqueue_output(const float* x, const std::int32_t* t, const std::int32_t* labels, float* output) {
    dit_.forward(x, t, labels);
    ops::unpatchify(device_, dit_.tokens(), shape_, setup_.micro_batch(), setup_.model.out_channels(), output);
  }
  std::int64_t output_size() const {
    return setup_.micro_batch() * latent_size() / setup_.model.in_channels * setup_.model.out_channels();
  }
  const float* x_t() const { return x_t_.get(); }
  const float* x_0(std::int64_t micro) const { return x_0_.get() + first(micro) * latent_size(); }
  const float* noise(std::int64_t micro) const { return noise_.get() + first(micro) * latent_size(); }
  const std::int32_t* t(std::int64_t micro) const { return t_.get() + first(micro); }
  const std::int32_t* labels(std::int64_t micro) const { return labels_.get() + first(micro); }
  const float* tokens() const { return dit_.tokens(); }
  T* token_gradient() { return dit_.token_gradient(); }
  double* losses_of_samples(std::int64_t micro) const { return loss_.get() + first(micro); }

  void enqueue_forward(std::int64_t micro) {
    enqueue_noising(micro);
    enqueue_network(micro);
    const ops::DiffusionLossInput input{dit_.tokens(),   x_0(micro), noise(micro),         t(micro),
                                        schedule_.get(), shape_,     setup_.micro_batch(), setup_.model.learn_sigma};
    // a sample's loss is the mean of its parts'
    const float scale = 1.0f / (static_cast<float>(setup_.global_batch) * static_cast<float>(setup_.sequence.ranks));
    ops::diffusion_loss(device_, input, scale, dit_.token_gradient(), losses_of_samples(micro),
                        static_cast<double*>(nullptr), static_cast<double*>(nullptr));
  }

  /// Of the micro-batch that went forward last; `gradients` (flat_size()) are overwritten, not added to.
  void enqueue_backward(std::int64_t micro, float* gradients, const GradientReady& ready) {
    dit_.backward(labels(micro), gradients, ready);
  }

  std::int64_t first(std::int64_t micro) const { return micro * setup_.micro_batch(); }  ///< sample of the batch

  /// Of the last forward, of all micro-batches: this rank's sum, of a part of samples as much as that is of their loss.
  /// Waits for it.
  double fetch_losses() {
    ops::copy_to_host(device_, losses_.data(), loss_.get(), loss_.bytes());
    return std::accumulate(losses_.begin(), losses_.end(), 0.0) / setup_.sequence.ranks;
  }

  SplitAttention<Device, T>& attention() { return dit_.attention(); }

  /// The host copy is outdated: an update begins.
  void forget_host() { host_ = {}; }

  /// The parameters in T from element `at` (DitOffsets) on: the master weights themselves, a copy, or, where products
  /// read packed weights, room for one segment on its way to pack().
  T* compute_weights(std::int64_t at) {
    if constexpr (std::is_same_v<T, float>) return master_weights() + at;
    return Device::kPacksWeights ? compute_weights_.get() : compute_weights_.get() + at - offsets().typed.offset;
  }
  /// compute_weights(at) where AdamW fills it, null where it is the master weights.
  ops::bf16* adamw_weights(std::int64_t at) {
    if constexpr (std::is_same_v<T, float>)
      return nullptr;
    else
      return compute_weights(at);
  }
  /// Where products read packed weights: those of `segment`, from compute_weights() of it.
  void pack(int segment) { dit_.pack(compute_weights(place(segment).offset), segment); }
  /// From the master weights to what the products read: of the owned segments, or of all where nothing is packed.
  void pack_owned() {
    if constexpr (!Device::kPacksWeights) {
      if constexpr (!std::is_same_v<T, float>) ops::convert(device_, flat_size(), master_weights(), compute_weights(0));
      return;
    }
    for (const int segment : owned_) convert_and_pack(segment);
  }

  // Of parameters that are not whole (DitSetup::full).

  void use_weights(WeightUse use) { dit_.use_weights(std::move(use)); }
  /// A unit's weights are there: from what came to what the products read.
  void weights_came(int unit) {
    if constexpr (Device::kPacksWeights) {
      for (int segment = 0; segment < offsets().order.count(); ++segment)
        if (offsets().order.layer(segment) == unit) convert_and_pack(segment);
    } else if constexpr (!std::is_same_v<T, float>) {
      if (unit != comm::kOuterUnit) return;  // came in T
      const std::int64_t at = offsets().typed.offset;
      ops::convert(device_, offsets().fp32.count - at, master_weights() + at, compute_weights(at));
    }
  }

 private:
  std::int64_t latent_size() const { return shape_.channels * shape_.plane(); }
  const float* own_part(const std::vector<float>& whole) {
    if (!setup_.sequence.shared()) return whole.data();
    take_parts(whole, part_of_planes(setup_.model, setup_.sequence), part_);
    return part_.data();
  }
  std::int64_t sample_count() const { return static_cast<std::int64_t>(sampled_.labels.size()); }

  /// (S, C, [F,] H, W): `given`, or drawn for step `number` of the reverse process where that is empty.
  void take_noise(std::uint32_t number, const std::vector<float>& given, float* noise) {
    const std::int64_t count = sample_count() * latent_size();
    if (given.empty()) {
      ops::draw_noise(device_, setup_.seed, number, static_cast<std::uint32_t>(sampled_.first_sample), sample_count(),
                      latent_size(), noise, ops::Purpose::sampling);
    } else {
      if (static_cast<std::int64_t>(given.size()) != count)
        throw std::invalid_argument("noise of another size than S samples");
      ops::copy_to_device(device_, noise, given.data(), static_cast<std::size_t>(count) * sizeof(float));
    }
  }

  void convert_and_pack(int segment) {
    const auto [at, count] = place(segment);
    if constexpr (!std::is_same_v<T, float>) ops::convert(device_, count, master_weights() + at, compute_weights(at));
    pack(segment);
  }

  ops::Buffer<Device, float> make_parameters() {
    if (!setup_.full) return memory_.template take<float>(offsets().size);
    return {setup_.full->weights, setup_.full->weights.get(),
            setup_.full->typed_weights ? offsets().fp32.count : offsets().size};
  }

  ops::Buffer<Device, T> make_compute_weights() {
    if (!Device::kPacksWeights && setup_.full)
      return {setup_.full->typed_weights, reinterpret_cast<T*>(setup_.full->typed_weights.get()),
              offsets().typed.count};
    std::int64_t most = 0;
    for (const comm::Segment& segment : segments()) most = std::max(most, segment.count);
    return {device_, Device::kPacksWeights ? most : offsets().size};
  }

  std::vector<float> to_host(const ops::Buffer<Device, float>& buffer) {
    std::vector<float> host(static_cast<std::size_t>(buffer.size()));
    ops::copy_to_host(device_, host.data(), buffer.get(), buffer.bytes());
    return host;
  }

  Device device_;
  DitSetup setup_;
  ops::LatentShape shape_;  // of what this rank has of a sample: all of it, or its part
  StateMemory<Device> memory_;
  Dit<Device, T> dit_;
  std::vector<int> owned_;
  ops::Buffer<Device, float> parameters_, gradients_;  // flat
  ops::Buffer<Device, T> compute_weights_;
  ops::Buffer<Device, float> x_0_, noise_, x_t_;  // (B, C, [F,] H, W)
  ops::Buffer<Device, std::int32_t> t_, labels_;  // (B)
  ops::Buffer<Device, ops::StepCoefficients> schedule_;
  ops::Buffer<Device, double> loss_;  // (B)
  std::vector<double> losses_;
  std::vector<float> part_;            // of the latents that load() got, where ranks share samples
  SampleBatch sampled_;                // what start_samples() was given
  ops::Buffer<Device, float> output_;  // (B, C_out, [F,] H, W), where there are samples
  std::vector<float> host_;            // what parameters() handed out, where the device's memory is not the host's
};

}  // namespace gpumonth::trainer
