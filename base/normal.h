// The standard normal distribution.
#pragma once

namespace gpumonth {

/// Probability of a value below `z`, and of one above it: exact in the tails, where 1 - normal_cdf is not.
double normal_cdf(double z);
double normal_upper(double z);
/// Where normal_cdf is `probability`, which is in (0, 1).
double normal_quantile(double probability);
constexpr double kZ95 = 1.6448536269514722;  ///< normal_quantile(0.95): half of a 90 % interval

}  // namespace gpumonth
