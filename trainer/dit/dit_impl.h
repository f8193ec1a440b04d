// Construction, conditioning and the main path of Dit; block_forward and block_backward are in
// dit_block_impl.h. Included only where Dit is instantiated for a device.
#pragma once

#include "trainer/dit/dit.h"
#include "trainer/dit/dit_block_impl.h"

namespace gpumonth::trainer {

/// Of a layer that runs forward alone where nothing is kept.
inline ops::LinearShape layer_shape(Keep keep, ops::LinearShape shape) {
  shape.backward = keep != Keep::nothing;
  return shape;
}

/// Modulations from the condition: `out` of the columns of (B, modulations). They stay fp32, with fp32 weights read as they
/// lie; where the rest of the model is bf16, TF32 keeps 3 bits more than that and costs what reading the weights costs.
template <class T>
ops::LinearShape adaln_shape(const DitShape& s, std::int64_t out) {
  return {.rows = s.batch,
          .in = s.h,
          .out = out,
          .y_stride = s.modulations,
          .packed = false,
          .tf32 = sizeof(T) < sizeof(float)};
}

/// Of one block in one pass: two forward, two when forward runs again, two backward.
constexpr std::int64_t kMostExchanges = 6;

template <class Device, class T>
Dit<Device, T>::Dit(Device& device, const model::ModelConfig& m, DitOffsets offsets, std::int64_t batch,
                    StateMemory<Device>& memory, Keep keep, const Sequence& sequence, std::int64_t passes)
    : device_(device), model_(m), latent_(part_shape(m, sequence)), shape_(m, batch, sequence.ranks),
      offsets_(std::move(offsets)), act_(device, m, shape_, keep),
      grad_(keep == Keep::nothing ? DitGradients<Device, T>() : DitGradients<Device, T>(device, m, shape_)),
      patch_(device, layer_shape(keep, {.rows = shape_.rows, .in = m.patch_in(), .out = shape_.h, .needs_dx = false})),
      qkv_(device, layer_shape(keep, {.rows = shape_.rows, .in = shape_.h, .out = 3 * shape_.h})),
      proj_(device, layer_shape(keep, {.rows = shape_.rows, .in = shape_.h, .out = shape_.h})),
      fc1_(device, layer_shape(keep, {.rows = shape_.rows, .in = shape_.h, .out = shape_.mlp})),
      fc2_(device, layer_shape(keep, {.rows = shape_.rows, .in = shape_.mlp, .out = shape_.h})),
      final_(device, layer_shape(keep, {.rows = shape_.rows, .in = shape_.h, .out = m.patch_out()})),
      time_in_(device, layer_shape(keep, {.rows = batch,
                                          .in = model::kFrequencyEmbeddingSize,
                                          .out = shape_.h,
                                          .packed = false,
                                          .needs_dx = false})),
      time_out_(device, layer_shape(keep, {.rows = batch, .in = shape_.h, .out = shape_.h, .packed = false})),
      adaln_(device, layer_shape(keep, adaln_shape<T>(shape_, shape_.modulations))),
      adaln_block_(device, layer_shape(keep, adaln_shape<T>(shape_, 6 * shape_.h))),
      adaln_final_(device, layer_shape(keep, adaln_shape<T>(shape_, 2 * shape_.h))),
      attention_(device, {batch, shape_.tokens, shape_.heads, m.head_dim(), keep != Keep::nothing}, sequence,
                 passes * kMostExchanges * shape_.depth),
      positions_(device, shape_.tokens * shape_.h) {
  const std::vector<float> positions = model::position_embedding(m);
  ops::copy_to_device(device_, positions_.get(), positions.data() + sequence.rank * positions_.size(),
                      positions_.bytes());

  const std::size_t block = qkv_.packed_bytes() + proj_.packed_bytes() + fc1_.packed_bytes() + fc2_.packed_bytes();
  packed_ = memory.template take<std::byte>(
      static_cast<std::int64_t>(block * offsets_.rooms + patch_.packed_bytes() + final_.packed_bytes()));
  std::byte* next = packed_.get();
  const auto take = [&next](const auto& layer) { return std::exchange(next, next + layer.packed_bytes()); };
  for (int l = 0; l < offsets_.rooms; ++l) packed_blocks_.push_back({take(qkv_), take(proj_), take(fc1_), take(fc2_)});
  packed_patch_ = take(patch_);
  packed_final_ = take(final_);
}

template <class Device, class T>
ops::LinearWeights<T> Dit<Device, T>::weights(const LinearOffsets& at, const std::byte* packed) const {
  ops::LinearWeights<T> w{.packed = packed, .master = master_weights_ + at.weight, .bias = master_weights_ + at.bias};
  if (compute_weights_) {
    w.compute_weights = compute_weights_ + at.weight;
    w.compute_bias = compute_weights_ + at.bias;
  }
  return w;
}

template <class Device, class T>
ops::LinearWeights<float> Dit<Device, T>::master_weights(const LinearOffsets& at) const {
  return {.master = master_weights_ + at.weight, .bias = master_weights_ + at.bias};
}

template <class Device, class T>
void Dit<Device, T>::bind(const float* master, const T* compute) {
  master_weights_ = master;
  compute_weights_ = compute;
  block_weights_.clear();
  for (int l = 0; l < model_.depth; ++l) {
    const BlockOffsets& o = offsets_.blocks[l];
    const Packed& p = packed_blocks_[l % offsets_.rooms];
    block_weights_.push_back(
        {weights(o.qkv, p.qkv), weights(o.proj, p.proj), weights(o.fc1, p.fc1), weights(o.fc2, p.fc2)});
  }
  patch_weights_ = weights(offsets_.patch, packed_patch_);
  final_weights_ = weights(offsets_.final_linear, packed_final_);
  time_in_weights_ = master_weights(offsets_.time_in);
  time_out_weights_ = master_weights(offsets_.time_out);
}

template <class Device, class T>
void Dit<Device, T>::pack(const T* values, int segment) {
  if constexpr (!Device::kPacksWeights) return;
  const SegmentOrder& order = offsets_.order;
  const auto tensor = [&](std::int64_t offset) { return values + (offset - offsets_.places[segment]); };
  if (segment == SegmentOrder::kFinalLinear) final_.pack(tensor(offsets_.final_linear.weight), packed_final_);
  if (segment == order.patch_embedding()) patch_.pack(tensor(offsets_.patch.weight), packed_patch_);
  const int layer = order.layer(segment);
  if (layer < 0) return;
  const BlockOffsets& o = offsets_.blocks[layer];
  const Packed& packed = packed_blocks_[layer % offsets_.rooms];
  switch (order.in_block(segment)) {
    case SegmentOrder::kFc2: fc2_.pack(tensor(o.fc2.weight), packed.fc2); break;
    case SegmentOrder::kFc1: fc1_.pack(tensor(o.fc1.weight), packed.fc1); break;
    case SegmentOrder::kProj: proj_.pack(tensor(o.proj.weight), packed.proj); break;
    case SegmentOrder::kQkv: qkv_.pack(tensor(o.qkv.weight), packed.qkv); break;
    case SegmentOrder::kAdaln: break;  // read as it is
  }
}

template <class Device, class T>
typename Dit<Device, T>::Modulations Dit<Device, T>::modulations(int layer) {
  if (layer == kAllLayers) return {adaln_, master_weights(offsets_.adaln), 0};
  if (layer == model_.depth) return {adaln_final_, master_weights(offsets_.adaln), 0};
  const std::int64_t column = shape_.modulation_column(layer);
  return {adaln_block_, master_weights({offsets_.blocks[layer].adaln_weight, offsets_.adaln.bias + column}), column};
}

template <class Device, class T>
void Dit<Device, T>::modulate(int layer) {
  const Modulations m = modulations(layer);
  m.product.forward(act_.condition_silu.get(), m.weights, act_.modulation.get() + m.column);
}

template <class Device, class T>
void Dit<Device, T>::modulate_backward(int layer) {
  const Modulations m = modulations(layer);
  const bool first = layer == kAllLayers || layer == model_.depth;
  float* part = first ? grad_.condition.get() : grad_.time_hidden.get();  // (B, h); the latter is free until the last
  m.product.backward_data(grad_.modulation.get() + m.column, m.weights, part);
  if (!first) ops::accumulate(device_, shape_.batch * shape_.h, part, grad_.condition.get());
}

template <class Device, class T>
void Dit<Device, T>::condition(const std::int32_t* t, const std::int32_t* labels) {
  const DitShape& s = shape_;
  ops::timestep_embedding(device_, t, s.batch, model::kFrequencyEmbeddingSize,
                          act_.frequencies.get());                                     // (B, 256)
  time_in_.forward(act_.frequencies.get(), time_in_weights_, act_.time_hidden.get());  // (B, h)
  ops::silu_forward(device_, s.batch * s.h, act_.time_hidden.get(), act_.time_silu.get());
  time_out_.forward(act_.time_silu.get(), time_out_weights_, act_.condition.get());  // (B, h)
  ops::label_embedding(device_, master_weights_ + offsets_.label_table, labels, act_.condition.get(), s.batch, s.h,
                       act_.condition.get());
  ops::silu_forward(device_, s.batch * s.h, act_.condition.get(), act_.condition_silu.get());
  modulate(streamed() ? model_.depth : kAllLayers);  // (B, (2 + 6 depth) h); streamed, a block's come before it
}

template <class Device, class T>
void Dit<Device, T>::forward(const float* x_t, const std::int32_t* t, const std::int32_t* labels) {
  const DitShape& s = shape_;
  need(comm::kOuterUnit);
  condition(t, labels);
  ops::patchify(device_, x_t, latent_, s.batch, act_.patches.get());  // (B, T, p c)
  float* x = act_.x_in(0);                                            // (B, T, h)
  patch_.forward(act_.patches.get(), patch_weights_, x);
  ops::add_broadcast(device_, s.batch, s.tokens * s.h, positions_.get(), x);
  for (int l = 0; l < model_.depth; ++l) {
    need(l);
    if (streamed()) modulate(l);
    block_forward(l);
    done(l);
  }
  ops::residual_norm_forward(device_, s.norm(), norm_before(model_.depth));
  final_.forward(act_.a_final.get(), final_weights_, act_.tokens.get());  // (B, T, p c_out)
}

template <class Device, class T>
void Dit<Device, T>::backward(const std::int32_t* labels, float* gradients, const GradientReady& ready) {
  const DitShape& s = shape_;
  const SegmentOrder& order = offsets_.order;
  final_.backward_weights_bias(grad_.tokens.get(), act_.a_final.get(), gradients + offsets_.final_linear.weight,
                               gradients + offsets_.final_linear.bias, grad_.scratch.get());
  ready(SegmentOrder::kFinalLinear);
  final_.backward_data(grad_.tokens.get(), final_weights_, grad_.narrow.get());  // (B, T, h)
  need(model_.depth - 1);  // whose gradients the norm's backward begins
  ops::residual_norm_backward(device_, s.norm(), norm_before_backward(model_.depth, gradients), grad_.scratch.get());
  adaln_final_.backward_weights(grad_.modulation.get(), act_.condition_silu.get(), gradients + offsets_.adaln.weight);
  ready(SegmentOrder::kFinalAdaln);
  if (streamed()) modulate_backward(model_.depth);

  for (int l = model_.depth - 1; l >= 0; --l) {
    block_backward(l, gradients, ready);
    done(l);
  }

  ops::convert(device_, s.rows * s.h, grad_.dx.get(), grad_.dx_typed.get());
  patch_.backward_weights(grad_.dx_typed.get(), act_.patches.get(), gradients + offsets_.patch.weight);
  ops::column_sum(device_, s.rows, s.h, s.h, grad_.dx.get(), gradients + offsets_.patch.bias, grad_.scratch.get());
  ready(order.patch_embedding());
  condition_backward(labels, gradients);
  ready(order.adaln_bias());
  ready(order.conditioning());
}

template <class Device, class T>
void Dit<Device, T>::condition_backward(const std::int32_t* labels, float* gradients) {
  const DitShape& s = shape_;
  float* d_condition = grad_.condition.get();  // (B, h)
  float* d_hidden = grad_.time_hidden.get();   // (B, h)
  float* scratch = grad_.scratch.get();
  ops::column_sum(device_, s.batch, s.modulations, s.modulations, grad_.modulation.get(),
                  gradients + offsets_.adaln.bias, scratch);
  if (!streamed()) modulate_backward(kAllLayers);
  ops::silu_backward(device_, s.batch * s.h, act_.condition.get(), d_condition, d_condition);
  ops::label_embedding_backward(device_, d_condition, labels, s.batch, model_.label_rows(), s.h,
                                gradients + offsets_.label_table);
  time_out_.backward_weights_bias(d_condition, act_.time_silu.get(), gradients + offsets_.time_out.weight,
                                  gradients + offsets_.time_out.bias, scratch);
  time_out_.backward_data(d_condition, time_out_weights_, d_hidden);
  ops::silu_backward(device_, s.batch * s.h, act_.time_hidden.get(), d_hidden, d_hidden);
  time_in_.backward_weights_bias(d_hidden, act_.frequencies.get(), gradients + offsets_.time_in.weight,
                                 gradients + offsets_.time_in.bias, scratch);
}

}  // namespace gpumonth::trainer
