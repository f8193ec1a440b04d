// Against printed tables and closed forms.
#include "base/sampling_distributions.h"

#include <cmath>

#include "tests/catch.h"

using namespace gpumonth;

TEST_CASE("Student's t") {
  CHECK(students_t_quantile(1, 0.95) == Approx(6.313751514675).epsilon(1e-10));  // tan(0.45 pi)
  CHECK(students_t_quantile(10, 0.975) == Approx(2.228138852).epsilon(1e-9));
  CHECK(students_t_upper(2, 1) == Approx(0.5 - 0.5 / std::sqrt(3.0)).epsilon(1e-12));
}

TEST_CASE("chi-squared") {
  CHECK(chi_squared_quantile(2, 0.9) == Approx(-2 * std::log(0.1)).epsilon(1e-12));
  CHECK(chi_squared_quantile(5, 0.95) == Approx(11.0704976935).epsilon(1e-9));
  CHECK(chi_squared_upper(2, 3) == Approx(std::exp(-1.5)).epsilon(1e-12));
}
