#include "budget/inputs/distribution.h"

#include <cmath>

#include "tests/budget/samples.h"
#include "tests/catch.h"
#include "tests/command.h"

using namespace gpumonth;
using budget::DistributionShape;
using tests::contains;

namespace {

constexpr double kAny = std::numeric_limits<double>::max(), kNone = std::numeric_limits<double>::quiet_NaN();

}  // namespace

TEST_CASE("low and high are the 5 % and 95 % quantiles", "[distribution]") {
  for (const char* shape : {"lognormal", "logit-normal", "normal"}) {
    INFO(shape);
    const auto d = budget::distribution_of(0.2, kNone, 0.7, 0, kAny, shape);
    CHECK(d.quantile(0.05) == Approx(0.2).epsilon(1e-9));
    CHECK(d.quantile(0.95) == Approx(0.7).epsilon(1e-9));
    CHECK(d.quantile(0.5) == Approx(d.median).epsilon(1e-9));
    CHECK(d.quantile(0.3) < d.quantile(0.4));
  }
  const auto uniform = budget::distribution_of(2, kNone, 4, 0, kAny, "uniform");
  CHECK(uniform.quantile(0.05) == Approx(2.1));
  const auto log_uniform = budget::distribution_of(1, kNone, 100, 0, kAny, "log-uniform");
  CHECK(log_uniform.quantile(0.25) == Approx(std::sqrt(10.0)));
}

TEST_CASE("a median of its own gives each side its own width", "[distribution]") {
  const auto d = budget::distribution_of(1, 2, 10, 0, kAny, "");
  CHECK(d.quantile(0.05) == Approx(1));
  CHECK(d.quantile(0.5) == Approx(2));
  CHECK(d.quantile(0.95) == Approx(10));
}

TEST_CASE("what is drawn where only a range is given", "[distribution]") {
  CHECK(budget::distribution_of(4, 10, 0, kAny).shape == DistributionShape::lognormal);
  CHECK(budget::distribution_of(0.3, 0.5, 0, 1).shape == DistributionShape::logit_normal);
  CHECK(budget::distribution_of(0, 1, 0, 1).shape == DistributionShape::uniform);
  CHECK(budget::distribution_of(0, 5, 0, kAny).shape == DistributionShape::uniform);
  CHECK(budget::distribution_of(3, 3, 0, kAny).quantile(0.9) == 3);
  CHECK(budget::distribution_of(1, 2, 1, kAny).quantile(1e-6) == 1);  // never below what the key allows
}

TEST_CASE("a scenario's words about a distribution are checked", "[distribution]") {
  const tests::TemporaryFolder folder;
  const auto load = [&](const std::string& number) {
    return budget::load_scenario(folder.write("s.toml", tests::small_scenario(number)));
  };
  CHECK(load("low = 2, median = 3, high = 9").inputs.at("training.samples").distribution.median == 3);
  CHECK(load("low = 2, high = 8").inputs.at("training.samples").distribution.median == Approx(4));
  CHECK_THROWS_WITH(load("low = 2, median = 9, high = 8"), contains("between low and high"));
  CHECK_THROWS_WITH(load("low = 2, high = 8, distribution = \"logit-normal\""), contains("between 0 and 1"));
  CHECK_THROWS_WITH(load("low = 2, median = 3, high = 8, distribution = \"uniform\""), contains("takes no median"));
  CHECK_THROWS_WITH(load("low = 2, high = 8, distribution = \"gauss\""), contains("gauss"));
}
