// Linear's members, which forward to LinearImpl. Included by the files that define a LinearImpl and instantiate Linear.
#pragma once

#include <memory>

#include "trainer/ops/bf16.h"
#include "trainer/ops/linear.h"

namespace gpumonth::ops {

template <class Device, class T, class Y>
Linear<Device, T, Y>::Linear(Device& device, const LinearShape& shape) {
  LinearShape s = shape;
  if (s.y_stride == 0) s.y_stride = s.out;
  impl_ = std::make_unique<LinearImpl<Device, T, Y>>(device, s);
}
template <class Device, class T, class Y>
Linear<Device, T, Y>::~Linear() = default;
template <class Device, class T, class Y>
Linear<Device, T, Y>::Linear(Linear&&) noexcept = default;

template <class Device, class T, class Y>
std::size_t Linear<Device, T, Y>::packed_bytes() const {
  return impl_->packed_bytes();
}
template <class Device, class T, class Y>
void Linear<Device, T, Y>::pack(const T* w, std::byte* packed) {
  impl_->pack(w, packed);
}
template <class Device, class T, class Y>
void Linear<Device, T, Y>::forward(const T* x, const LinearWeights<T>& w, Y* y) {
  impl_->forward(x, w, y);
}
template <class Device, class T, class Y>
void Linear<Device, T, Y>::forward_gelu(const T* x, const LinearWeights<T>& w, Y* u, Y* y) {
  impl_->forward_gelu(x, w, u, y);
}
template <class Device, class T, class Y>
void Linear<Device, T, Y>::backward_data(const T* dy, const LinearWeights<T>& w, T* dx) {
  impl_->backward_data(dy, w, dx);
}
template <class Device, class T, class Y>
void Linear<Device, T, Y>::backward_data_gelu(const T* dy, const LinearWeights<T>& w, const T* u, T* du, float* dbias,
                                              float* scratch) {
  impl_->backward_data_gelu(dy, w, u, du, dbias, scratch);
}
template <class Device, class T, class Y>
void Linear<Device, T, Y>::backward_weights(const T* dy, const T* x, float* dw) {
  impl_->backward_weights(dy, x, dw);
}
template <class Device, class T, class Y>
void Linear<Device, T, Y>::backward_weights_bias(const T* dy, const T* x, float* dw, float* dbias, float* scratch) {
  impl_->backward_weights_bias(dy, x, dw, dbias, scratch);
}

}  // namespace gpumonth::ops
