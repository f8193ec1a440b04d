#include "budget/inputs/monte_carlo.h"

#include <cmath>

#include "budget/inputs/distribution.h"
#include "tests/catch.h"

using namespace gpumonth::budget;

namespace {

constexpr double kPi = 3.14159265358979323846;

UncertainInput input(const char* name, const Distribution& d) {
  return {name, [d](double u) { return d.quantile(u); }};
}

UncertainInput lognormal(const char* name, double low, double high) {
  return input(name, distribution_of(low, high, 0, 1e300));
}

const VarianceShare& share_of(const std::vector<VarianceShare>& shares, const std::string& name) {
  for (const auto& share : shares)
    if (share.input == name) return share;
  FAIL("no share of " + name);
  throw;
}

}  // namespace

TEST_CASE("a Latin hypercube has one point in every slice, the same for the same seed", "[monte-carlo]") {
  const auto points = latin_hypercube(100, 3, 7);
  for (Eigen::Index column = 0; column < 3; ++column) {
    std::vector<int> hits(100, 0);
    for (Eigen::Index row = 0; row < 100; ++row) ++hits.at(static_cast<std::size_t>(points(row, column) * 100));
    CHECK(std::all_of(hits.begin(), hits.end(), [](int n) { return n == 1; }));
  }
  CHECK((points.array() == latin_hypercube(100, 3, 7).array()).all());
  CHECK_FALSE((points.array() == latin_hypercube(100, 3, 8).array()).all());
}

TEST_CASE("shares of a product of log-normals are the shares of their log variances", "[monte-carlo]") {
  // sd of log in the ratio 3 : 2 : 1, so that the variances are 9 : 4 : 1 of 14; the third divides.
  const std::vector<UncertainInput> inputs = {lognormal("a", std::exp(-0.3), std::exp(0.3)),
                                              lognormal("b", std::exp(-0.2), std::exp(0.2)),
                                              lognormal("c", std::exp(-0.1), std::exp(0.1))};
  const auto model = [](const Sample& s) { return Column(5 * s.values.at("a") * s.values.at("b") / s.values.at("c")); };
  const auto shares = variance_shares(inputs, model, 8192, 1);
  REQUIRE(shares.size() == 3);
  CHECK(shares[0].input == "a");
  const double expected[] = {9.0 / 14, 4.0 / 14, 1.0 / 14};
  for (std::size_t i = 0; i < 3; ++i) {
    INFO(shares[i].input);
    // The estimator's standard error is about 1 / sqrt(n) = 0.011; three of them.
    CHECK(std::abs(shares[i].first_order - expected[i]) < 0.033);
    CHECK(std::abs(shares[i].total - expected[i]) < 0.033);
  }
  CHECK(shares[0].low == Approx(5 * std::exp(-0.3)));
  CHECK(shares[0].high == Approx(5 * std::exp(0.3)));
}

TEST_CASE("interactions show as a total above the first order: the Ishigami function", "[monte-carlo]") {
  // Saltelli et al. 2008, "Global sensitivity analysis": a = 7, b = 0.1; S = 0.314, 0.442, 0; total 0.558,
  // 0.442, 0.244.
  const Distribution d{DistributionShape::uniform, -kPi, 0, kPi};
  const auto model = [](const Sample& s) {
    const Column &x = s.values.at("x"), &y = s.values.at("y"), &z = s.values.at("z");
    return Column((x.sin() + 7 * y.sin().square() + 0.1 * z.pow(4) * x.sin()).exp());
  };
  const auto shares = variance_shares({input("x", d), input("y", d), input("z", d)}, model, 16384, 3);
  CHECK(std::abs(share_of(shares, "x").first_order - 0.314) < 0.03);
  CHECK(std::abs(share_of(shares, "y").first_order - 0.442) < 0.03);
  CHECK(share_of(shares, "z").first_order < 0.03);
  CHECK(std::abs(share_of(shares, "x").total - 0.558) < 0.03);
  CHECK(std::abs(share_of(shares, "z").total - 0.244) < 0.03);
}

TEST_CASE("without variance there are no shares", "[monte-carlo]") {
  const auto model = [](const Sample& s) { return Column(Column::Constant(s.draws, 3.0)); };
  CHECK(variance_shares({lognormal("a", 1, 2)}, model, 64, 1).empty());
  CHECK(variance_shares({}, model, 64, 1).empty());
}
