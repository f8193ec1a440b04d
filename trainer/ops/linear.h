// Linear layer y = x W^T + b, forward and both backward products, alone or with the GELU behind it. Weights are given
// in the reference's (out, in) layout. One Linear serves every layer of its shape: weights are the caller's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "trainer/ops/cpu/onednn.h"
#include "trainer/ops/device.h"

namespace gpumonth::ops {

struct LinearShape {
  std::int64_t rows = 0, in = 0, out = 0;  ///< x (rows, in), y (rows, out), W (out, in)
  Dtype dtype = Dtype::fp32;               ///< of x, dy and the weights that the products read
  Dtype y_dtype = Dtype::fp32;             ///< of y
  Dtype dx_dtype = Dtype::fp32;            ///< of dx
  std::int64_t y_stride = 0;               ///< elements between rows of y and of dy; 0: out
  bool packed = true;    ///< false: the products read the fp32 masters themselves (few rows: memory-bound)
  bool needs_dx = true;  ///< false: the layer's input is data
  bool backward = true;  ///< false: forward alone, and nothing is held for backward
};

/// One layer's weights, in the forms that the products read.
struct LinearWeights {
  const std::byte* packed = nullptr;  ///< what pack() filled; null where packed_bytes() is 0
  const float* master = nullptr;      ///< fp32 W (out, in)
  const float* bias = nullptr;        ///< fp32 (out)
  const void* typed = nullptr;        ///< W (out, in) in `dtype`, where Device::kPacksWeights is false
  const void* typed_bias = nullptr;   ///< (out) in `dtype`, likewise
};

template <class Device>
class Linear {
 public:
  Linear(Device& device, const LinearShape& shape);
  ~Linear();
  Linear(Linear&&) noexcept;

  /// Of one layer, where Device::kPacksWeights: the forward layout and, in bf16, the backward-data one. A multiple of
  /// 64; 0 where not packed.
  std::size_t packed_bytes() const;
  /// From W (out, in) in shape.dtype.
  void pack(const void* w, std::byte* packed);

  void forward(const void* x, const LinearWeights& w, void* y);
  /// u (rows, out) = x W^T + b, kept for backward; y (rows, out) = gelu(u). y_dtype is dtype.
  void forward_gelu(const void* x, const LinearWeights& w, void* u, void* y);
  /// dx (rows, in) = dy W. fp32 products read the masters as they lie, which saves the memory of a second packed
  /// layout and costs about 3 % of a B/4 step (measured on Zen 5).
  void backward_data(const void* dy, const LinearWeights& w, void* dx);
  /// Where gelu(u) was this layer's input: du (rows, in) = gelu'(u) * (dy W), in dtype, and dbias (in) fp32 = the
  /// column sums of du, for the layer that made u. `scratch` as for column_sum(rows, in).
  void backward_data_gelu(const void* dy, const LinearWeights& w, const void* u, void* du, float* dbias,
                          float* scratch);
  /// dW (out, in) fp32, overwritten.
  void backward_weights(const void* dy, const void* x, float* dw);
  /// That, and dbias (out) fp32 = the column sums of dy. `scratch` as for column_sum(rows, out).
  void backward_weights_bias(const void* dy, const void* x, float* dw, float* dbias, float* scratch);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// dbias (columns) fp32 = sum over rows of dy (rows, columns), rows `stride` elements apart; overwritten.
/// `scratch` holds column_sum_scratch(rows, columns) floats.
template <class Device, class T>
void column_sum(Device& device, std::int64_t rows, std::int64_t columns, std::int64_t stride, const T* dy, float* dbias,
                float* scratch);
std::int64_t column_sum_scratch(std::int64_t rows, std::int64_t columns);

}  // namespace gpumonth::ops
