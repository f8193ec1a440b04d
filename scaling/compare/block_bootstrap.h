// How well a run knows its own throughput.
#pragma once

#include <cstddef>
#include <span>

namespace gpumonth::scaling {

/// The length of the blocks that keeps the dependence of neighbours, for a circular block bootstrap of the
/// mean of `series`: Politis and White, "Automatic block-length selection for the dependent bootstrap",
/// Econometric Reviews 23 (2004), with the correction of Patton, Politis and White (2009). From 1 to n / 3;
/// n^(1/3) below 16 values.
std::size_t block_length(std::span<const double> series);

/// Standard error of log(sum(numerator) / sum(denominator)), all positive, by a circular moving-block bootstrap
/// (Kuensch, Annals of Statistics 17, 1989). To first order the logarithm moves by the mean of n_i / mean(n) - d_i /
/// mean(d); the bootstrap's variance of that mean is known without a draw: n / b blocks of b values are drawn out of n,
/// so it is mean(square of a block's sum) / (n b). b is block_length() of that series. Fewer than 2 values give NaN.
double ratio_log_error(std::span<const double> numerator, std::span<const double> denominator);

}  // namespace gpumonth::scaling
