#pragma once

#include <Eigen/Dense>

namespace gpumonth::scaling {

/// x >= 0 that minimises |A x - b|, of at most 6 columns: the best of all subsets of columns whose
/// unconstrained solution is not negative (the optimum is one of them; Lawson and Hanson 1974, ch. 23). Of
/// equally good ones the earlier columns win, so that what the data cannot tell apart goes to the first.
Eigen::VectorXd non_negative_least_squares(const Eigen::MatrixXd& a, const Eigen::VectorXd& b);

}  // namespace gpumonth::scaling
