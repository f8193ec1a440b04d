// How well a run knows its own median step time.
#pragma once

#include <cstddef>
#include <span>

namespace gpumonth::budget {

/// The length of the blocks that keeps the dependence of neighbours, for a circular block bootstrap of the
/// mean of `series`: Politis and White, "Automatic block-length selection for the dependent bootstrap",
/// Econometric Reviews 23 (2004), with the correction of Patton, Politis and White (2009). From 1 to n / 3;
/// n^(1/3) below 16 values.
std::size_t block_length(std::span<const double> series);

/// Standard error of log(median(values)), by a circular moving-block bootstrap (Kuensch, Annals of Statistics
/// 17, 1989). Blocks are as long as block_length() finds for "above the median or not", the series on which a
/// median's error depends. `values` are positive. The same values give the same bits; fewer than 2 give NaN.
double median_log_error(std::span<const double> values, int resamples = 400);

}  // namespace gpumonth::budget
