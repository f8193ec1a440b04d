// GELU, tanh form, between the two linear layers of the MLP.
#pragma once

#include <cstdint>

#include "trainer/ops/device.h"

namespace gpumonth::ops {

/// y = gelu(u), n elements; u is kept for backward. Here and below T = float or bf16.
template <class T>
void gelu_forward(Cpu& cpu, std::int64_t n, const T* u, T* y);
template <class T>
void gelu_forward(Cuda& cuda, std::int64_t n, const T* u, T* y);

/// du = dy * gelu'(u), in place (`dy` becomes du), and dbias (columns) = its column sums, for the bias of the layer
/// that made u. (rows, columns) row-major; `scratch` as for column_sum.
template <class T>
void gelu_backward(Cpu& cpu, std::int64_t rows, std::int64_t columns, const T* u, T* dy, float* dbias, float* scratch);
template <class T>
void gelu_backward(Cuda& cuda, std::int64_t rows, std::int64_t columns, const T* u, T* dy, float* dbias,
                   float* scratch);

}  // namespace gpumonth::ops
