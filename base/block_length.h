// How many steps that follow each other are drawn at once, as neighbours are alike (moving-block bootstrap).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace gpumonth {

/// n^(1/3), at least 1.
inline std::size_t usual_block(std::size_t rows) {
  return static_cast<std::size_t>(std::max(1.0, std::round(std::cbrt(static_cast<double>(rows)))));
}

}  // namespace gpumonth
