// Attention's members, which forward to Impl. Included by the files that define an Impl and instantiate Attention.
#pragma once

#include <memory>

#include "trainer/ops/attention.h"

namespace gpumonth::ops {

template <class Device, class T>
Attention<Device, T>::Attention(Device& device, const AttentionShape& shape)
    : impl_(std::make_unique<Impl>(device, shape)) {}
template <class Device, class T>
Attention<Device, T>::~Attention() = default;
template <class Device, class T>
void Attention<Device, T>::forward(const T* qkv, T* out, float* log_sum_exp) {
  impl_->forward(qkv, out, log_sum_exp);
}
template <class Device, class T>
void Attention<Device, T>::backward(const T* qkv, const T* out, const float* log_sum_exp, const T* dout, T* dqkv) {
  impl_->backward(qkv, out, log_sum_exp, dout, dqkv);
}

}  // namespace gpumonth::ops
