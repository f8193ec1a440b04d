// 90 % means 90 %: curves drawn from the model itself, discrepancy included, are forecast by it. A forecast
// is right when the share of later measurements inside the interval is 90 % up to the noise of that share.
#include <array>
#include <cmath>

#include "scaling/fit/fit.h"
#include "tests/catch.h"
#include "tests/scaling/fit/synthetic.h"

using namespace gpumonth;
using namespace gpumonth::scaling;

namespace {

struct Drawn {
  ScalingCurve curve;  ///< 9 points, 1 .. 256 ranks
  MeanFunction truth;
};

/// A mean function, roughness, fault and walk drawn from the priors.
Drawn draw_curve(NormalDraws& normal, bool with_batch) {
  const Constants c;
  const auto functions = mean_functions(c, with_batch, false);
  double pick = normal.uniform();
  std::size_t chosen = 0;
  while (chosen + 1 < functions.size() && (pick -= std::exp(functions[chosen].log_prior)) > 0) ++chosen;
  Drawn drawn{{}, functions[chosen]};
  drawn.curve.name = "drawn";
  const double k = std::exp2(std::floor(normal.uniform() * 5) - 2);
  const double outlier_odds = c.outlier_probability / (1 - c.outlier_probability),
               break_odds = c.break_probability / (1 - c.break_probability);
  const double fault = normal.uniform() * (1 + 7 * outlier_odds + 6 * break_odds);  // of the 7 points that are fitted
  const int outlier = fault > 1 && fault < 1 + 7 * outlier_odds ? static_cast<int>((fault - 1) / outlier_odds) : -1;
  const int broken = fault >= 1 + 7 * outlier_odds ? static_cast<int>((fault - 1 - 7 * outlier_odds) / break_odds) : -1;
  std::array<double, 9> batches{};
  for (double& batch : batches) batch = with_batch ? 32 * std::exp2(-std::floor(normal.uniform() * 4)) : 32;
  const double last_batch = batches[6];
  double level = -5, batch_before = batches[0];
  for (int i = 0; i < 9; ++i) {
    const double n = 1 << i;
    const double batch = batches[static_cast<std::size_t>(i)];
    const double walk = k * std::hypot(c.walk, c.batch_walk * std::sqrt(std::abs(std::log2(batch / batch_before))));
    if (i > 0) level += std::hypot(walk, i == 4 ? c.host_walk : 0) * normal();
    batch_before = batch;
    if (i > 0 && i - 1 == broken) level += c.break_sd * normal();
    // beyond the fitted points, as forecasts have it
    if (i >= 7 && normal.uniform() < c.break_probability) level += c.break_mean + c.break_sd * normal();
    const bool is_outlier = i == outlier || (i >= 7 && normal.uniform() < c.outlier_probability);
    const double noise = std::hypot(k * c.noise, is_outlier ? c.outlier_sd : 0) * normal();
    const auto& f = drawn.truth;
    const double log_cost = level + growth(f.growth, f.slope, n / 64) + batch_term(f.share, last_batch / batch) + noise;
    drawn.curve.points.push_back({1 << i, with_batch ? batch : kUnknownBatch, n / std::exp(log_cost), ""});
  }
  return drawn;
}

struct Calibration {
  double coverage = 0;       ///< share of measurements at 2 and 4 times the largest fitted rank count inside
  double share_covered = 0;  ///< share of true batch shares inside their 90 % interval
};

Calibration calibrate(int draws, bool with_batch) {
  NormalDraws normal(11);
  Calibration sums;
  for (int i = 0; i < draws; ++i) {
    const Drawn drawn = draw_curve(normal, with_batch);
    ScalingCurve curve = drawn.curve;
    curve.points.resize(7);
    const Fit fit = fit_curve(curve);
    for (const std::size_t k : {std::size_t{7}, std::size_t{8}}) {
      const auto& x = drawn.curve.points[k];
      const auto p = fit.predict(x.ranks, x.batch_per_rank);
      sums.coverage += (x.samples_per_s >= p.low && x.samples_per_s <= p.high) / (2.0 * draws);
    }
    const auto batch = fit.batch_share();
    if (batch.known)
      sums.share_covered += (drawn.truth.share >= batch.low && drawn.truth.share <= batch.high) / double(draws);
  }
  return sums;
}

/// The same for curves without discrepancy and with ordinary noise, which a user's own sweep may well be.
double plain_coverage(int draws) {
  NormalDraws normal(12);
  int inside = 0;
  const auto cost = [](double n) { return 0.01 * (1 + 0.015 * std::log2(n)); };
  for (int i = 0; i < draws; ++i) {
    const Fit fit = fit_curve(tests::synthetic_curve(cost, 0.01, {1, 2, 4, 8, 16, 32, 64}, 3, normal));
    const auto p = fit.predict(128);
    const double x = 128 / cost(128) * std::exp(0.01 * normal());
    inside += x >= p.low && x <= p.high;
  }
  return static_cast<double>(inside) / draws;
}

}  // namespace

TEST_CASE("90 % intervals hold 90 % of what the model draws", "[calibration]") {
  for (const bool with_batch : {false, true}) {
    const Calibration c = calibrate(200, with_batch);
    INFO(with_batch << " " << c.coverage << " " << c.share_covered);
    // The two forecasts of a curve go together, so 200 independent ones at the least: sd 2.1 %. Three of them.
    CHECK(c.coverage >= 0.837);
    CHECK(c.coverage <= 0.963);
    if (with_batch) CHECK(c.share_covered >= 0.85);  // of a grid: an interval is as wide as its cells, or wider
  }
}

TEST_CASE("coverage over 1,000 draws", "[.][long]") {
  for (const bool with_batch : {false, true}) {
    const Calibration c = calibrate(1000, with_batch);
    INFO(with_batch << " " << c.coverage << " " << c.share_covered);
    CHECK(c.coverage >= 0.87);  // sd 0.95 % or less: three of them
    CHECK(c.coverage <= 0.93);
  }
  const double plain = plain_coverage(1000);
  INFO(plain);
  // The interval allows for a discrepancy that these curves lack: it may be too wide, not too narrow.
  CHECK(plain >= 0.87);
}
