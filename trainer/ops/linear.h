// Linear layer y = x W^T + b, forward and both backward products, alone or with the GELU behind it. Weights are given
// in the reference's (out, in) layout. One Linear serves every layer of its shape: weights are the caller's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "trainer/ops/device.h"

namespace gpumonth::ops {

struct LinearShape {
  std::int64_t rows = 0, in = 0, out = 0;  ///< x (rows, in), y (rows, out), W (out, in)
  std::int64_t y_stride = 0;               ///< elements between rows of y and of dy; 0: out
  bool packed =
      true;  ///< false: the products read the fp32 master weights themselves (few rows: memory-bound). T = float
  bool tf32 = false;     ///< T = float: a GPU may multiply in TF32 (10 bits of mantissa, fp32 sums); a CPU does not
  bool needs_dx = true;  ///< false: the layer's input is data
  bool backward = true;  ///< false: forward alone, and nothing is held for backward
};

/// One layer's weights, in the forms that the products read.
template <class T>
struct LinearWeights {
  const std::byte* packed = nullptr;   ///< what pack() filled; null where packed_bytes() is 0
  const float* master = nullptr;       ///< fp32 W (out, in)
  const float* bias = nullptr;         ///< fp32 (out)
  const T* compute_weights = nullptr;  ///< W (out, in), where Device::kPacksWeights is false
  const T* compute_bias = nullptr;     ///< (out), likewise
};

template <class Device, class T, class Y>
struct LinearImpl;  // each backend's own

/// T: of x, dx, dy and the weights that the products read. Y: of y, T or float. <float>, <bf16> and <bf16, float> exist.
template <class Device, class T, class Y = T>
class Linear {
 public:
  Linear(Device& device, const LinearShape& shape);
  ~Linear();
  Linear(Linear&&) noexcept;

  /// Of one layer, where Device::kPacksWeights: the forward layout and, in bf16, the backward-data one. A multiple of
  /// 64; 0 where not packed.
  std::size_t packed_bytes() const;
  /// From W (out, in).
  void pack(const T* w, std::byte* packed);

  void forward(const T* x, const LinearWeights<T>& w, Y* y);
  /// u (rows, out) = x W^T + b, kept for backward; y (rows, out) = gelu(u).
  void forward_gelu(const T* x, const LinearWeights<T>& w, Y* u, Y* y);
  /// dx (rows, in) = dy W. fp32 products read the master weights as they lie, which saves the memory of a second packed
  /// layout and costs about 3 % of a B/4 step (measured on Zen 5).
  void backward_data(const T* dy, const LinearWeights<T>& w, T* dx);
  /// Where gelu(u) was this layer's input: du (rows, in) = gelu'(u) * (dy W), and dbias (in) fp32 = the column sums of
  /// du, for the layer that made u. `scratch` as for column_sum(rows, in).
  void backward_data_gelu(const T* dy, const LinearWeights<T>& w, const T* u, T* du, float* dbias, float* scratch);
  /// dW (out, in) fp32, overwritten.
  void backward_weights(const T* dy, const T* x, float* dw);
  /// That, and dbias (out) fp32 = the column sums of dy. `scratch` as for column_sum(rows, out).
  void backward_weights_bias(const T* dy, const T* x, float* dw, float* dbias, float* scratch);

 private:
  std::unique_ptr<LinearImpl<Device, T, Y>> impl_;
};

}  // namespace gpumonth::ops
