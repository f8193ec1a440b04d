// The bias gradient of a layer: sums over the rows of a matrix.
#pragma once

#include <cstdint>

#include "trainer/ops/device.h"

namespace gpumonth::ops {

/// dbias (columns) fp32 = sum over rows of dy (rows, columns), rows `stride` elements apart; overwritten.
/// `scratch` holds column_sum_scratch(rows, columns) floats. T = float or bf16.
template <class T>
void column_sum(Cpu& cpu, std::int64_t rows, std::int64_t columns, std::int64_t stride, const T* dy, float* dbias,
                float* scratch);
template <class T>
void column_sum(Cuda& cuda, std::int64_t rows, std::int64_t columns, std::int64_t stride, const T* dy, float* dbias,
                float* scratch);
std::int64_t column_sum_scratch(std::int64_t rows, std::int64_t columns);

}  // namespace gpumonth::ops
