// Quantiles of a sample, by one definition everywhere: type 7 of Hyndman and Fan, "Sample quantiles in
// statistical packages", The American Statistician 50(4), 1996, which R, NumPy and pandas use too. Of n
// values in ascending order it is the one at place q (n - 1), counted from 0, between two of them by linear
// interpolation. So the median (q = 0.5) of an even number of values is the mean of the middle two.
#pragma once

#include <span>
#include <vector>

namespace gpumonth {

/// q in [0, 1]; NaN is not a value. Throws std::invalid_argument where there are no values.
double quantile(std::vector<double> values, double q);

/// The same without a copy; leaves the values in another order. Takes time in proportion to their number.
double quantile_in_place(std::span<double> values, double q);

/// The same of values that are in ascending order already.
double quantile_of_sorted(std::span<const double> ascending, double q);

}  // namespace gpumonth
