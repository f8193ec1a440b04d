#include "scaling/fit/nnls.h"

#include "tests/catch.h"

using gpumonth::scaling::non_negative_least_squares;

TEST_CASE("non-negative least squares", "[nnls]") {
  Eigen::MatrixXd a(3, 2);
  a << 1, 0, 1, 1, 1, 2;
  const Eigen::VectorXd inside = non_negative_least_squares(a, Eigen::Vector3d(1, 3, 5));
  CHECK(inside[0] == Approx(1));
  CHECK(inside[1] == Approx(2));
  // The free solution has the slope -1: at the bound the intercept is the mean.
  const Eigen::VectorXd bound = non_negative_least_squares(a, Eigen::Vector3d(3, 2, 1));
  CHECK(bound[0] == Approx(2));
  CHECK(bound[1] == 0);
  // Two equal columns: all goes to the first.
  a.col(1) = a.col(0);
  const Eigen::VectorXd tie = non_negative_least_squares(a, Eigen::Vector3d(1, 1, 1));
  CHECK(tie[0] == Approx(1));
  CHECK(tie[1] == 0);
}
