// The standard normal distribution.
#pragma once

namespace gpumonth {

/// Probability of a value below `z`, and of one above it: exact in the tails, where 1 - normal_cdf is not.
double normal_cdf(double z);
double normal_upper(double z);
/// Where normal_cdf is `probability`, which is in (0, 1).
double normal_quantile(double probability);

}  // namespace gpumonth
