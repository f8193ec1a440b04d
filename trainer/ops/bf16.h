// bfloat16 storage: the upper half of an fp32, converted with round to nearest even. Arithmetic is done in fp32.
// And the element types' names where a library takes them at run time.
#pragma once

#include <bit>
#include <cstdint>
#include <type_traits>

#include "model/dtype.h"

#ifdef __CUDACC__
#define GPUMONTH_HD __host__ __device__
#elif !defined(GPUMONTH_HD)
#define GPUMONTH_HD
#endif

namespace gpumonth::ops {

struct bf16 {
  std::uint16_t bits;
};

GPUMONTH_HD inline float to_float(float x) { return x; }
GPUMONTH_HD inline float to_float(bf16 x) {
  return __builtin_bit_cast(float, static_cast<std::uint32_t>(x.bits) << 16);
}

template <class T>
GPUMONTH_HD inline T from_float(float x);
template <>
GPUMONTH_HD inline float from_float<float>(float x) {
  return x;
}
/// A NaN stays a NaN: rounding could carry its payload into infinity.
template <>
GPUMONTH_HD inline bf16 from_float<bf16>(float x) {
  const std::uint32_t u = __builtin_bit_cast(std::uint32_t, x);
  const std::uint32_t rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
  const std::uint32_t nan = (u >> 16) | 0x40u;
  return {static_cast<std::uint16_t>((u & 0x7fffffffu) > 0x7f800000u ? nan : rounded)};
}

using model::Dtype;

template <class T>
constexpr Dtype dtype_of() {
  static_assert(std::is_same_v<T, float> || std::is_same_v<T, bf16>);
  return std::is_same_v<T, bf16> ? Dtype::bf16 : Dtype::fp32;
}

}  // namespace gpumonth::ops
