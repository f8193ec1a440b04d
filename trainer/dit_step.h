// Step over Dit<Device, T>: noising, forward, loss, backward, AdamW. Included only where it is instantiated.
#pragma once

#include <cmath>

#include "trainer/diffusion.h"
#include "trainer/dit_impl.h"
#include "trainer/init.h"
#include "trainer/ops/adamw.h"
#include "trainer/ops/diffusion_loss.h"
#include "trainer/ops/grad_norm.h"
#include "trainer/ops/noising.h"
#include "trainer/step.h"

namespace gpumonth::trainer {

template <class Device, class T>
class DitStep : public Step {
 public:
  DitStep(Device device, const StepSetup& setup, const model::ParameterTable& table)
      : device_(device),
        setup_(setup),
        flat_size_(table.flat_size()),
        dit_(device_, setup.model, table, setup.local_batch),
        parameters_(device_, flat_size_),
        exp_avg_(device_, flat_size_),
        exp_avg_sq_(device_, flat_size_),
        ema_(device_, flat_size_),
        x_0_(device_, setup.local_batch * setup.model.latent_size()),
        noise_(device_, x_0_.size()),
        x_t_(device_, x_0_.size()),
        t_(device_, setup.local_batch),
        labels_(device_, setup.local_batch),
        schedule_(device_, kDiffusionSteps),
        loss_(device_, setup.local_batch),
        norm_scratch_(device_, ops::sum_of_squares_scratch(flat_size_)),
        losses_(setup.local_batch) {
    const auto coefficients = step_coefficients(DiffusionSchedule());
    ops::copy_to_device(device_, schedule_.get(), coefficients.data(), schedule_.bytes());
  }

  const std::vector<comm::Segment>& events() const override { return dit_.offsets().segments; }

  double forward(const Batch& batch, std::int64_t step, std::vector<double>* losses) override {
    noise_batch(batch, step);
    dit_.forward(parameters_.get(), x_t_.get(), t_.get(), labels_.get());
    const ops::DiffusionLossInput input{dit_.tokens(), x_0_.get(),       noise_.get(),
                                        t_.get(),      schedule_.get(),  ops::latent_shape(setup_.model),
                                        setup_.local_batch, setup_.model.learn_sigma};
    ops::diffusion_loss(device_, input, 1.0f / static_cast<float>(setup_.global_batch), dit_.token_gradient(),
                        loss_.get(), static_cast<double*>(nullptr), static_cast<double*>(nullptr));
    ops::copy_to_host(device_, losses_.data(), loss_.get(), loss_.bytes());
    double sum = 0;
    for (const double loss : losses_) sum += loss;
    if (losses) *losses = losses_;
    return sum;
  }

  void backward(const std::function<void(int)>& ready) override {
    dit_.backward(parameters_.get(), labels_.get(), setup_.gradients, ready);
  }

  double update(const OptimizerSettings& s, std::int64_t step) override {
    double square = 0;
    ops::sum_of_squares(device_, setup_.gradients, flat_size_, norm_scratch_.get(), &square);
    const double norm = std::sqrt(square);
    if (!std::isfinite(norm)) return norm;
    const ops::AdamWHyperparameters h{s.learning_rate, s.beta1, s.beta2, s.epsilon, s.weight_decay, s.ema_decay};
    const ops::AdamWStep adamw = ops::adamw_step(h, step, ops::clip_scale(norm, s.clip_norm));
    for (int event = 0; event < dit_.offsets().events.count(); ++event) {
      const auto [at, count] = dit_.offsets().segments[event];
      ops::adamw(device_, adamw, count, setup_.gradients + at, parameters_.get() + at, exp_avg_.get() + at,
                 exp_avg_sq_.get() + at, ema_.get() + at, static_cast<ops::bf16*>(nullptr));
      dit_.pack(parameters_.get(), event);
    }
    return norm;
  }

  TrainingState state() override { return {parameters_.get(), ema_.get(), exp_avg_.get(), exp_avg_sq_.get()}; }
  void state_changed() override {
    for (int event = 0; event < dit_.offsets().events.count(); ++event) dit_.pack(parameters_.get(), event);
  }

  std::vector<float> prediction() override {
    const model::ModelConfig& m = setup_.model;
    const std::int64_t size = setup_.local_batch * m.latent_size() / m.in_channels * m.out_channels();
    ops::Buffer<Device, float> image(device_, size);
    ops::unpatchify(device_, dit_.tokens(), ops::latent_shape(m), setup_.local_batch,
                    static_cast<std::int64_t>(m.out_channels()), image.get());
    std::vector<float> host(static_cast<std::size_t>(size));
    ops::copy_to_host(device_, host.data(), image.get(), image.bytes());
    return host;
  }

 private:
  void noise_batch(const Batch& batch, std::int64_t step) {
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
    ops::add_noise(device_, x_0_.get(), noise_.get(), t_.get(), schedule_.get(), setup_.local_batch, size,
                   x_t_.get());
  }

  Device device_;
  StepSetup setup_;
  std::int64_t flat_size_;
  Dit<Device, T> dit_;
  ops::Buffer<Device, float> parameters_, exp_avg_, exp_avg_sq_, ema_;
  ops::Buffer<Device, float> x_0_, noise_, x_t_;  // (B, C, [F,] H, W)
  ops::Buffer<Device, std::int32_t> t_, labels_;  // (B)
  ops::Buffer<Device, StepCoefficients> schedule_;
  ops::Buffer<Device, double> loss_;              // (B)
  ops::Buffer<Device, double> norm_scratch_;
  std::vector<double> losses_;
};

}  // namespace gpumonth::trainer
