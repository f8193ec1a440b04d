// What the backends' attentions share: Attention's members, which forward to AttentionImpl, and how work is cut.
// Included by the files that define an AttentionImpl and instantiate Attention.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>

#include "trainer/ops/attention.h"

namespace gpumonth::ops {

/// The largest divisor of n up to `limit`; 1 where there is none.
inline std::int64_t largest_divisor(std::int64_t n, std::int64_t limit) {
  for (std::int64_t d = std::min(n, limit); d > 1; --d)
    if (n % d == 0) return d;
  return 1;
}

template <class Device, class T>
Attention<Device, T>::Attention(Device& device, const AttentionShape& shape)
    : impl_(std::make_unique<AttentionImpl<Device, T>>(device, shape)) {}
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
