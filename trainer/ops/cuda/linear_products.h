// The cuBLASLt products of one linear layer's shape, and which of them do a neighbouring op's work as well.
// Only linear.cu and linear_products.cu include this.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "trainer/ops/cuda/matmul.h"
#include "trainer/ops/linear.h"

namespace gpumonth::ops {

/// A fused product is there where cuBLASLt has it, a trial on random numbers gave what the separate ops give,
/// and, unless the context is deterministic, it was not slower than they are. Ranks may differ in what is
/// fused: their gradients then differ by rounding before they are summed, and all ranks go on from the same sum.
template <class T, class Y>
struct LinearProducts {
  LinearProducts(Cuda& device, const LinearShape& shape);  ///< shape.y_stride set

  CublasMatmul forward;  ///< y = x W^T, with the bias where forward_adds_bias
  bool forward_adds_bias;
  std::optional<CublasMatmul> data;          ///< dx = dy W, where shape.needs_dx and shape.backward
  std::optional<CublasMatmul> weights;       ///< dW = dy^T x, where shape.backward
  std::optional<CublasMatmul> forward_gelu;  ///< gelu_aux_bias
  std::optional<CublasMatmul> data_gelu;     ///< dgelu, or dgelu_bgrad where data_gelu_sums; see run_data_gelu()
  bool data_gelu_sums = false;
  std::optional<CublasMatmul> weights_bias;  ///< bgrad_a

 private:
  LinearProducts(Cuda& device, const LinearShape& shape, std::pair<CublasMatmul, bool> forward_and_adds_bias);
};

/// `product` of LinearProducts::data_gelu, and `dbias` fp32 by it where it sums, else by column_sum(). dgelu_bgrad sums in
/// fp32 and rounds the sums to T once.
template <class T>
void run_data_gelu(Cuda& device, const LinearShape& shape, const CublasMatmul& product, bool sums, const T* dy,
                   const T* w, const T* u, T* du, float* dbias, float* scratch);

/// y (rows, columns), rows `stride` apart, += bias (columns).
template <class Y>
void add_bias(const Cuda& device, std::int64_t rows, std::int64_t columns, std::int64_t stride, const Y* bias, Y* y);

}  // namespace gpumonth::ops
