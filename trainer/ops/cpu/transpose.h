// A bf16 matrix turned over, so that a product can read it along its rows.
#pragma once

#include <cstdint>

#include "trainer/ops/bf16.h"
#include "trainer/ops/device.h"

namespace gpumonth::ops {

/// to (columns, rows) = transpose of from (rows, columns), both dense.
void transpose(const Cpu& cpu, std::int64_t rows, std::int64_t columns, const bf16* from, bf16* to);

}  // namespace gpumonth::ops
