// Distances with closed forms.
#include "trainer/quality/frechet.h"

#include <cmath>

#include "tests/catch.h"
#include "tests/trainer/ops/values.h"

using namespace gpumonth;
using namespace gpumonth::trainer;

namespace {

/// n pairs of points with mean (mx, my) and covariance L L^T exactly (unbiased), L = ((a, 0), (b, c)).
Features with_law(double mx, double my, double a, double b, double c) {
  const double k = std::sqrt(3.0 / 2);  // four points (+-k, +-k): variance 4 k^2 / 3 = 2; scaled below
  Features rows;
  for (const double x : {-k, k})
    for (const double y : {-k, k}) {
      const double u = x / std::sqrt(2.0), v = y / std::sqrt(2.0);
      rows.push_back({mx + a * u, my + b * u + c * v});
    }
  return rows;
}

Features normal_rows(std::int64_t n, unsigned seed, double shift = 0, double scale = 1) {
  Features rows;
  const auto values = tests::random_values(3 * n, seed);
  for (std::size_t i = 0; i < static_cast<std::size_t>(n); ++i) {
    rows.emplace_back();
    for (std::size_t j = 0; j < 3; ++j) rows.back().push_back(shift + scale * double{values[3 * i + j]});
  }
  return rows;
}

}  // namespace

TEST_CASE("in one dimension it is (m_a - m_b)^2 + (s_a - s_b)^2") {
  // Two points m -+ d have variance 2 d^2.
  const Features a = {{1.0 - 2.0}, {1.0 + 2.0}}, b = {{4.0 - 0.5}, {4.0 + 0.5}};
  const double s_a = 2 * std::sqrt(2.0), s_b = 0.5 * std::sqrt(2.0);
  CHECK(frechet_distance(a, b) == Approx(9 + std::pow(s_a - s_b, 2)));
  CHECK(frechet_distance(b, a) == Approx(9 + std::pow(s_a - s_b, 2)));
}

TEST_CASE("covariances that do not commute: the root's trace of a 2 x 2 matrix is sqrt(tr + 2 sqrt(det))") {
  const Features a = with_law(1, -1, 1.0, 0.8, 0.5), b = with_law(0, 2, 2.0, -1.5, 0.3);
  // S = L L^T by hand.
  const double a11 = 1, a12 = 0.8, a22 = 0.64 + 0.25, b11 = 4, b12 = -3, b22 = 2.25 + 0.09;
  const double trace = a11 * b11 + 2 * a12 * b12 + a22 * b22;
  const double det = (a11 * a22 - a12 * a12) * (b11 * b22 - b12 * b12);
  const double expected = 1 + 9 + a11 + a22 + b11 + b22 - 2 * std::sqrt(trace + 2 * std::sqrt(det));
  CHECK(frechet_distance(a, b) == Approx(expected));
}

TEST_CASE("the same rows are at distance 0, also where the covariance is singular") {
  const Features a = with_law(1, 2, 1.0, 2.0, 0.0);
  CHECK(frechet_distance(a, a) == Approx(0).margin(1e-9));
}

TEST_CASE("features count in units of the true ones, and a constant one does not divide by zero") {
  const Features truth = normal_rows(4000, 1, 5, 10), more = normal_rows(4000, 2, 5, 10);
  Features shifted = normal_rows(4000, 3, 5, 10);
  for (auto& row : shifted) row[1] += 20;  // two deviations
  const FrechetResult r = frechet(shifted, truth, more);
  CHECK(r.distance == Approx(4).epsilon(0.05));
  CHECK(r.low < r.distance);
  CHECK(r.high > r.distance);
  CHECK(r.high - r.low < 1);
  CHECK(r.floor < 0.02);
  Features flat = truth, flat_more = more, flat_samples = more;
  for (auto* rows : {&flat, &flat_more, &flat_samples})
    for (auto& row : *rows) row[2] = 7;
  CHECK(frechet(flat_samples, flat, flat_more).distance < 0.02);
}

TEST_CASE("true samples are at the floor, which falls with their number as 1 / N") {
  const Features truth = normal_rows(100000, 1), more = normal_rows(20000, 2);
  const double few = frechet(normal_rows(50, 3), truth, more).floor,
               many = frechet(normal_rows(500, 4), truth, more).floor;
  CHECK(few / many == Approx(10).epsilon(0.15));
  double mean = 0;
  for (unsigned seed = 10; seed < 30; ++seed) mean += frechet(normal_rows(50, seed), truth, more).distance / 20;
  CHECK(mean == Approx(few).epsilon(0.25));
}

TEST_CASE("the interval is as wide as distances of other samples differ: 90 % of them") {
  const Features truth = normal_rows(20000, 1), more = normal_rows(2000, 2);
  // The mean of many draws is what each interval, of one, should hold nine times out of ten.
  std::vector<FrechetResult> drawn;
  double mean = 0;
  for (unsigned seed = 100; seed < 200; ++seed) {
    drawn.push_back(frechet(normal_rows(200, seed, 0.5), truth, more));
    mean += drawn.back().distance / 100;
  }
  int hold = 0;
  for (const FrechetResult& r : drawn) hold += r.low <= mean && mean <= r.high;
  CHECK(hold >= 82);
  CHECK(hold <= 97);
}
