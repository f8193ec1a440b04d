// The number formats that a training computes in.
#pragma once

#include <cstdint>

namespace gpumonth::model {

enum class Dtype { fp32, bf16 };
constexpr std::int64_t bytes_per_element(Dtype dtype) { return dtype == Dtype::bf16 ? 2 : 4; }

}  // namespace gpumonth::model
