#pragma once

#include <span>
#include <vector>

namespace gpumonth::scaling {

/// x >= 0 that minimises |sum_j x_j a_j - b|, of at most 6 columns a_j as long as b: the best of all subsets of columns
/// whose unconstrained solution is not negative (the optimum is one of them; Lawson and Hanson 1974, ch. 23). Of
/// equally good ones the earlier columns win, so that what the data cannot tell apart goes to the first.
std::vector<double> non_negative_least_squares(std::span<const std::vector<double>> columns,
                                               const std::vector<double>& b);

}  // namespace gpumonth::scaling
