// The number formats that a training computes in.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

namespace gpumonth::model {

enum class Dtype { fp32, bf16 };
constexpr std::int64_t bytes_per_element(Dtype dtype) { return dtype == Dtype::bf16 ? 2 : 4; }

/// std::invalid_argument: neither "fp32" nor "bf16", which a configuration has checked.
inline Dtype dtype_named(const std::string& text) {
  if (text == "fp32") return Dtype::fp32;
  if (text == "bf16") return Dtype::bf16;
  throw std::invalid_argument("dtype_named(" + text + ")");
}

}  // namespace gpumonth::model
