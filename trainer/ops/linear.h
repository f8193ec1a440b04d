// Linear layer y = x W^T + b, forward and both backward products. Weights are fp32 masters in the reference's
// (out, in) layout; pack() converts them once per optimizer step into what the products read. One Linear serves
// every layer of its shape: the packed weights are the caller's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "trainer/ops/device.h"
#include "trainer/ops/onednn.h"

namespace gpumonth::ops {

struct LinearShape {
  std::int64_t rows = 0, in = 0, out = 0;  ///< x (rows, in), y (rows, out), W (out, in)
  Dtype dtype = Dtype::fp32;               ///< of x, dy and the packed W
  Dtype y_dtype = Dtype::fp32;             ///< of y
  Dtype dx_dtype = Dtype::fp32;            ///< of dx
  std::int64_t y_stride = 0;               ///< elements between rows of y and of dy; 0: out
  bool packed = true;      ///< false: the products read the fp32 masters themselves (few rows: memory-bound)
  bool needs_dx = true;    ///< false: the layer's input is data
};

template <class Device>
class Linear {
 public:
  Linear(Device& device, const LinearShape& shape);
  ~Linear();
  Linear(Linear&&) noexcept;

  /// Of one layer: the forward layout and, in bf16, the backward-data one. A multiple of 64; 0 where not packed.
  std::size_t packed_bytes() const;
  void pack(const float* w, std::byte* packed);

  /// `weights` is what pack() filled, or the fp32 masters where shape.packed is false. Bias fp32 (out).
  void forward(const void* x, const void* weights, const float* bias, void* y);
  /// `masters` are the fp32 weights: an fp32 product reads them as they lie, which saves the memory of a second
  /// packed layout and costs about 3 % of a B/4 step (measured on Zen 5).
  void backward_data(const void* dy, const void* weights, const float* masters, void* dx);
  /// dW (out, in) fp32, overwritten.
  void backward_weights(const void* dy, const void* x, float* dw);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// dbias (columns) fp32 = sum over rows of dy (rows, columns), rows `stride` elements apart; overwritten.
/// `scratch` holds column_sum_scratch(rows, columns) floats.
template <class Device, class T>
void column_sum(Device& device, std::int64_t rows, std::int64_t columns, std::int64_t stride, const T* dy,
                float* dbias, float* scratch);
std::int64_t column_sum_scratch(std::int64_t rows, std::int64_t columns);

}  // namespace gpumonth::ops
