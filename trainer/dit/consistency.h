// Consistency distillation around a DitModel that is trained: which passes come before its own, and its loss. arXiv:2303.01469,
// algorithm 2; of the discrete schedule and the guided teacher arXiv:2310.04378. Included only where it is instantiated.
//
//   x_t      the batch, noised                                         student's x_t
//   x_s      one DDIM step of the teacher, `skip` timesteps down       teacher, 1 pass, with guidance 2
//   target   f(x_s, s) by the student as it stands, a constant         student, 1 pass
//   loss     distance of f(x_t, t) from it                             student, the pass that backward follows
//
// The target is the student itself and not its moving average: with that, Song and Dhariwal find worse samples
// (arXiv:2310.14189, section 3.2), and a second set of weights would have to be packed in every step.
#pragma once

#include <algorithm>
#include <vector>

#include "trainer/dit/dit_model.h"
#include "trainer/ops/consistency.h"

namespace gpumonth::trainer {

template <class Device, class T>
class Consistency {
 public:
  /// `setup` is the student's, with setup.consistency. Collective over setup.transport, whose ranks may hold the
  /// teacher in common.
  Consistency(Device device, const DitSetup& setup, const model::ParameterTable& table)
      : model_(setup.model), batch_(setup.micro_batch()), global_batch_(setup.global_batch),
        guidance_(setup.consistency->guidance), metric_(setup.consistency->metric),
        teacher_(device, of_teacher(setup), table),
        output_(teacher_.device(), (guided() ? 2 : 1) * teacher_.output_size()),
        x_s_(teacher_.device(), batch_ * model_.latent_size()), s_(teacher_.device(), batch_),
        null_labels_(teacher_.device(), batch_), table_(teacher_.device(), ops::kDiffusionSteps) {
    const std::vector<float>& weights = setup.consistency->teacher;
    if (teacher_.memory().part() == 0) std::copy(weights.begin(), weights.end(), teacher_.parameters());
    teacher_.parameters_changed();
    const std::vector<std::int32_t> null(static_cast<std::size_t>(batch_), model_.num_classes);
    ops::copy_to_device(teacher_.device(), null_labels_.get(), null.data(), null_labels_.bytes());
    const auto coefficients = ops::consistency_coefficients(ops::DiffusionSchedule(), setup.consistency->skip);
    ops::copy_to_device(teacher_.device(), table_.get(), coefficients.data(), table_.bytes());
  }

  /// In place of DitModel::enqueue_forward(), of a micro-batch of what `student` has loaded.
  void enqueue_forward(DitModel<Device, T>& student, std::int64_t micro) {
    Device& device = teacher_.device();
    student.enqueue_noising(micro);
    teacher_.enqueue_output(student.x_t(), student.t(micro), student.labels(micro), output_.get());
    if (guided())
      teacher_.enqueue_output(student.x_t(), student.t(micro), null_labels_.get(),
                              output_.get() + teacher_.output_size());
    ops::teacher_step(device, output(guided()), student.t(micro), table_.get(), student.x_t(), x_s_.get(), s_.get());
    student.enqueue_output(x_s_.get(), s_.get(), student.labels(micro), output_.get());
    ops::consistency_target(device, output(false), s_.get(), table_.get(), x_s_.get());
    student.enqueue_network(micro);
    const ops::ConsistencyLossInput input{student.tokens(), student.x_t(),      x_s_.get(),
                                          student.t(micro), table_.get(),       ops::latent_shape(model_),
                                          batch_,           model_.learn_sigma, metric_};
    ops::consistency_loss(device, input, 1.0f / static_cast<float>(global_batch_), student.token_gradient(),
                          student.losses_of_samples(micro));
  }

 private:
  static DitSetup of_teacher(DitSetup setup) {
    setup.keep = Keep::nothing;
    setup.gradients = nullptr;
    setup.sequence = {};
    setup.local_batch = setup.micro_batch();
    setup.accumulate = 1;
    return setup;
  }

  bool guided() const { return guidance_ != 1; }

  ops::ReverseStepInput output(bool with_null) const {
    const ops::LatentShape shape = ops::latent_shape(model_);
    return {.output = output_.get(),
            .noise = nullptr,
            .samples = batch_,
            .channels = shape.channels,
            .out_channels = model_.out_channels(),
            .plane = shape.plane(),
            .guided = with_null,
            .guidance = static_cast<float>(guidance_)};
  }

  model::ModelConfig model_;
  std::int64_t batch_, global_batch_;
  double guidance_;
  ops::ConsistencyMetric metric_;
  DitModel<Device, T> teacher_;
  ops::Buffer<Device, float> output_;  // (B, C_out, [F,] H, W), with guidance a second time under the null label
  ops::Buffer<Device, float> x_s_;     // (B, C, [F,] H, W), then the target
  ops::Buffer<Device, std::int32_t> s_, null_labels_;  // (B)
  ops::Buffer<Device, ops::ConsistencyCoefficients> table_;
};

}  // namespace gpumonth::trainer
