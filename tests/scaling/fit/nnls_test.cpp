#include "scaling/fit/nnls.h"

#include "tests/catch.h"

using gpumonth::scaling::non_negative_least_squares;

TEST_CASE("non-negative least squares", "[nnls]") {
  using Columns = std::vector<std::vector<double>>;
  const Columns line = {{1, 1, 1}, {0, 1, 2}};
  const auto inside = non_negative_least_squares(line, {1, 3, 5});
  CHECK(inside[0] == Approx(1));
  CHECK(inside[1] == Approx(2));
  // The free solution has the slope -1: at the bound the intercept is the mean.
  const auto bound = non_negative_least_squares(line, {3, 2, 1});
  CHECK(bound[0] == Approx(2));
  CHECK(bound[1] == 0);
  // Two equal columns: all goes to the first.
  const auto tie = non_negative_least_squares(Columns{{1, 1, 1}, {1, 1, 1}}, {1, 1, 1});
  CHECK(tie[0] == Approx(1));
  CHECK(tie[1] == 0);
  // Columns of nothing, and of sizes 1e12 apart as seconds and seconds a byte are.
  const auto sizes =
      non_negative_least_squares(Columns{{1, 1, 1, 1}, {0, 0, 0, 0}, {1e12, 2e12, 4e12, 8e12}}, {3, 5, 9, 17});
  CHECK(sizes[0] == Approx(1));
  CHECK(sizes[1] == 0);
  CHECK(sizes[2] == Approx(2e-12));
}
