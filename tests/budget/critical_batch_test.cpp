// The critical batch's fit against points made by its own formula and against MLPerf's FLUX.1.
#include "budget/plan/critical_batch.h"

#include <stdexcept>

#include "tests/budget/samples.h"
#include "tests/catch.h"

using namespace gpumonth;

TEST_CASE("points of the formula give its two numbers back", "[critical-batch]") {
  const auto at = [](double batch) { return budget::ConvergencePoint{batch, 5e6 * (1 + batch / 1500)}; };
  const auto fit = budget::fit_critical_batch({at(64), at(512), at(8192)});
  CHECK(fit.critical == Approx(1500).epsilon(1e-9));
  CHECK(fit.least_samples == Approx(5e6).epsilon(1e-9));
  CHECK(fit.error < 1e-3);
}

TEST_CASE("FLUX.1's convergence points have a critical batch of 2,766 images", "[critical-batch]") {
  const auto fit = budget::fit_critical_batch({{512, 7.235e6}, {1024, 8.493e6}, {2048, 10.355e6}, {4096, 15.349e6}});
  CHECK(fit.critical == Approx(2766).margin(0.5));
  CHECK(fit.least_samples == Approx(6.11e6).margin(0.005e6));
  // Four points, two parameters: 90 % are 2.92 standard errors (Student's t, two degrees of freedom).
  CHECK(fit.critical - 2.92 * fit.error == Approx(2195).margin(1));
  CHECK(fit.critical + 2.92 * fit.error == Approx(3336).margin(1));
  const auto s = tests::sora();
  CHECK(s.inputs.at("batch.critical").distribution.median == Approx(fit.critical).margin(0.5));
}

TEST_CASE("points that have no critical batch are refused", "[critical-batch]") {
  using Points = std::vector<budget::ConvergencePoint>;
  for (const Points& points : {Points{}, Points{{512, 1e6}, {1024, 2e6}}, Points{{512, 3e6}, {1024, 2e6}, {2048, 1e6}},
                               Points{{512, 1e6}, {1024, 0}, {2048, 3e6}}})
    CHECK_THROWS_AS(budget::fit_critical_batch(points), std::invalid_argument);
}
