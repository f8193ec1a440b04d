// One adaLN-Zero block, forward and backward. The modulated norm in front of a block also adds the MLP branch
// of the block below, so a block's backward ends with that branch's gradient ready in grad_.branch.
#pragma once

#include "trainer/dit/dit.h"

namespace gpumonth::trainer {

template <class Device, class T>
ops::ResidualNormForward<T> Dit<Device, T>::norm_before(int layer) {
  const bool is_final = layer == model_.depth;
  auto* block = is_final ? nullptr : &act_.block(layer);
  auto* below = layer == 0 ? nullptr : &act_.block(layer - 1);
  float* x = is_final ? act_.x_final.get() : act_.x_in(layer);
  NormStatistics<Device>& norm = is_final ? act_.norm_final : block->norm1;
  float* shift = is_final ? act_.modulation.get() : modulation(layer, kShiftAttention);
  float* scale = is_final ? act_.modulation.get() + shape_.h : modulation(layer, kScaleAttention);
  return {.x_in = below ? below->x_mid.get() : x,
          .branch = below ? below->fc2.get() : nullptr,
          .gate = below ? modulation(layer - 1, kGateMlp) : nullptr,
          .scale = scale,
          .shift = shift,
          .x_out = x,
          .y = is_final ? act_.a_final.get() : block->a1.get(),
          .mean = norm.mean.get(),
          .rstd = norm.rstd.get()};
}

template <class Device, class T>
ops::ResidualNormBackward<T> Dit<Device, T>::norm_before_backward(int layer, float* gradients) {
  const bool is_final = layer == model_.depth;
  const ops::ResidualNormForward<T> f = norm_before(layer);
  return {.dy = grad_.narrow.get(),
          .dx = grad_.dx.get(),
          .first = is_final,
          .x = f.x_out,
          .mean = f.mean,
          .rstd = f.rstd,
          .scale = f.scale,
          .dscale = is_final ? grad_.modulation.get() + shape_.h : d_modulation(layer, kScaleAttention),
          .dshift = is_final ? grad_.modulation.get() : d_modulation(layer, kShiftAttention),
          .branch = f.branch,
          .gate = f.gate,
          .dbranch = grad_.branch.get(),
          .dgate = layer == 0 ? nullptr : d_modulation(layer - 1, kGateMlp),
          .dbranch_bias = layer == 0 ? nullptr : gradients + offsets_.blocks[layer - 1].fc2.bias};
}

template <class Device, class T>
void Dit<Device, T>::block_forward(int l) {
  ops::residual_norm_forward(device_, shape_.norm(), norm_before(l));  // a1 (B, T, h)
  block_branches(l, true);
}

template <class Device, class T>
void Dit<Device, T>::block_again(int l) {
  ops::ResidualNormForward<T> norm = norm_before(l);
  norm.x_in = norm.x_out;  // the sum was kept
  norm.branch = nullptr;
  norm.gate = nullptr;
  ops::residual_norm_forward(device_, shape_.norm(), norm);
  block_branches(l, !act_.keeps_attention());
}

template <class Device, class T>
void Dit<Device, T>::block_branches(int l, bool attend) {
  BlockActivations<Device, T>& a = act_.block(l);
  AttentionOutput<Device, T>& kept = act_.attention(l);
  const BlockWeights& w = block_weights_[l];
  qkv_.forward(a.a1.get(), w.qkv, attention_.qkv_of_tokens(a.qkv.get()));  // (B, T, 3h)
  attention_.share_heads(a.qkv.get());
  if (attend) attention_.forward(a.qkv.get(), kept);       // (B, T, h)
  proj_.forward(kept.output.get(), w.proj, a.proj.get());  // (B, T, h)
  ops::residual_norm_forward(device_, shape_.norm(),       // a2 (B, T, h)
                             ops::ResidualNormForward<T>{.x_in = act_.x_in(l),
                                                         .branch = a.proj.get(),
                                                         .gate = modulation(l, kGateAttention),
                                                         .scale = modulation(l, kScaleMlp),
                                                         .shift = modulation(l, kShiftMlp),
                                                         .x_out = a.x_mid.get(),
                                                         .y = a.a2.get(),
                                                         .mean = a.norm2.mean.get(),
                                                         .rstd = a.norm2.rstd.get()});
  fc1_.forward_gelu(a.a2.get(), w.fc1, a.fc1.get(), a.gelu.get());  // (B, T, mlp)
  fc2_.forward(a.gelu.get(), w.fc2, a.fc2.get());                   // (B, T, h)
}

template <class Device, class T>
void Dit<Device, T>::block_backward(int l, float* gradients, const GradientReady& ready) {
  BlockActivations<Device, T>& a = act_.block(l);
  AttentionOutput<Device, T>& attention = act_.attention(l);
  const BlockOffsets& o = offsets_.blocks[l];
  const BlockWeights& w = block_weights_[l];
  const SegmentOrder& order = offsets_.order;
  T *branch = grad_.branch.get(), *narrow = grad_.narrow.get(), *wide = grad_.wide.get();
  float* scratch = grad_.scratch.get();

  // MLP: branch holds d fc2 (B, T, h), its bias gradient is done.
  fc2_.backward_weights(branch, a.gelu.get(), gradients + o.fc2.weight);
  ready(order.block(l, SegmentOrder::kFc2));
  fc2_.backward_data_gelu(branch, w.fc2, a.fc1.get(), wide, gradients + o.fc1.bias, scratch);  // (B, T, mlp)
  fc1_.backward_weights(wide, a.a2.get(), gradients + o.fc1.weight);
  ready(order.block(l, SegmentOrder::kFc1));
  fc1_.backward_data(wide, w.fc1, narrow);  // (B, T, h)
  ops::residual_norm_backward(device_, shape_.norm(),
                              ops::ResidualNormBackward<T>{.dy = narrow,
                                                           .dx = grad_.dx.get(),
                                                           .first = false,
                                                           .x = a.x_mid.get(),
                                                           .mean = a.norm2.mean.get(),
                                                           .rstd = a.norm2.rstd.get(),
                                                           .scale = modulation(l, kScaleMlp),
                                                           .dscale = d_modulation(l, kScaleMlp),
                                                           .dshift = d_modulation(l, kShiftMlp),
                                                           .branch = a.proj.get(),
                                                           .gate = modulation(l, kGateAttention),
                                                           .dbranch = branch,
                                                           .dgate = d_modulation(l, kGateAttention),
                                                           .dbranch_bias = gradients + o.proj.bias},
                              scratch);

  // Attention: branch holds d proj (B, T, h).
  proj_.backward_weights(branch, attention.output.get(), gradients + o.proj.weight);
  ready(order.block(l, SegmentOrder::kProj));
  proj_.backward_data(branch, w.proj, narrow);                // (B, T, h)
  attention_.backward(a.qkv.get(), attention, narrow, wide);  // (B, T, 3h)
  qkv_.backward_weights_bias(wide, a.a1.get(), gradients + o.qkv.weight, gradients + o.qkv.bias, scratch);
  ready(order.block(l, SegmentOrder::kQkv));
  qkv_.backward_data(wide, w.qkv, narrow);  // (B, T, h)
  // The norm's backward reads the branch of the block below. Its turn of the two sets comes now: this block is done
  // with its own, and the two topmost are still there from forward.
  if (l > 0) need(l - 1);  // the block again, and room for its gradients, which this norm's backward begins
  if (act_.sets < model_.depth && l > 0 && l - 1 < model_.depth - 2) block_again(l - 1);
  ops::residual_norm_backward(device_, shape_.norm(), norm_before_backward(l, gradients), scratch);

  // All six modulation gradients of this block are in place, but for the MLP gate, which came from above.
  if (streamed()) modulate_backward(l);
  adaln_block_.backward_weights(d_modulation(l, 0), act_.condition_silu.get(), gradients + o.adaln_weight);
  ready(order.block(l, SegmentOrder::kAdaln));
}

}  // namespace gpumonth::trainer
