#include "scaling/fit/fit.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/error.h"
#include "base/quantile.h"
#include "scaling/fit/baselines.h"
#include "scaling/fit/fit_json.h"
#include "tests/catch.h"
#include "tests/scaling/fit/synthetic.h"

using namespace gpumonth;
using namespace gpumonth::scaling;
using tests::contains;

namespace {

const std::vector<int> kRanks{1, 2, 4, 8, 16, 32, 64};

double plain_cost(double n) { return 0.01 * (1 + 0.02 * std::log2(n)); }

}  // namespace

TEST_CASE("a fit gives the same bits twice, and takes milliseconds", "[fit]") {
  NormalDraws normal(1);
  const auto curve = tests::synthetic_curve(plain_cost, 0.01, kRanks, 3, normal);
  const auto start = std::chrono::steady_clock::now();
  const auto first = to_json(fit_curve(curve), parse_targets("128,512:8"));
  const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start;
  CHECK(spent.count() < 0.5);  // 21 points, on a busy machine; jobs/bench has the time of a usual curve
  CHECK(first.dump() == to_json(fit_curve(curve), parse_targets("128,512:8")).dump());
}

TEST_CASE("a forecast finds the truth of a plain curve, and widens with the distance", "[fit]") {
  NormalDraws normal(2);
  const Fit fit = fit_curve(tests::synthetic_curve(plain_cost, 0.003, kRanks, 3, normal));
  double width = 0;
  for (const std::int64_t ranks : {64, 128, 256, 512}) {
    const Prediction p = fit.predict(ranks);
    const double truth = static_cast<double>(ranks) / plain_cost(static_cast<double>(ranks));
    // Beyond 64 the median allows for breaks: 4 % a doubling, of 27 %.
    const double doublings = std::log2(static_cast<double>(ranks) / 64);
    CHECK(p.samples_per_s == Approx(truth).epsilon(0.005 + 0.016 * doublings));
    CHECK(p.low < truth);
    CHECK(p.high > truth);
    CHECK(p.mean_low >= p.low);
    CHECK(p.mean_high <= p.high);
    CHECK((p.high - p.low) / truth > width);
    width = (p.high - p.low) / truth;
    CHECK(p.efficiency == Approx(p.samples_per_s / static_cast<double>(ranks) * plain_cost(1)).epsilon(0.01));
  }
  CHECK(fit.noise() > 0.001);  // of a grid of roughness: within a factor of 2
  CHECK(fit.noise() < 0.007);
}

TEST_CASE("a ratio of two places knows what both share", "[fit]") {
  NormalDraws normal(3);
  const Fit fit = fit_curve(tests::synthetic_curve(plain_cost, 0.01, kRanks, 1, normal));
  const auto ratio = fit.ratio_per_rank(256, kUnknownBatch, 64, kUnknownBatch, 1001);
  CHECK(std::is_sorted(ratio.begin(), ratio.end()));
  const auto there = fit.predict(256), here = fit.predict(64);
  const double expected = there.samples_per_s / here.samples_per_s / 4;
  CHECK(ratio[500] == Approx(expected).epsilon(0.01));
  // narrower than the mean at 256 alone, whose level is not known better than that at 64
  CHECK(std::log(ratio[950] / ratio[50]) < std::log(there.mean_high / there.mean_low) * 1.01);
  for (const double same : fit.ratio_per_rank(64, kUnknownBatch, 64, kUnknownBatch, 11)) CHECK(same == Approx(1));
}

TEST_CASE("below the first point growth is held, and is known less the further", "[fit]") {
  ScalingCurve curve;
  curve.name = "late";
  for (int n = 512; n <= 8192; n *= 2) curve.points.push_back({n, 4, n * (1 - 0.02 * std::log2(n / 512)), ""});
  const Fit fit = fit_curve(curve);
  double width = 0;
  for (const std::int64_t ranks : {256, 16, 2}) {
    const auto p = fit.predict(ranks);
    CHECK(p.samples_per_s == Approx(static_cast<double>(ranks)).epsilon(0.03));
    CHECK(std::log(p.mean_high / p.mean_low) > width);
    width = std::log(p.mean_high / p.mean_low);
    const auto ratio = fit.ratio_per_rank(8192, 4, ranks, 4, 101);
    CHECK(ratio[50] == Approx(0.92).epsilon(0.03));
    CHECK(ratio.back() / ratio.front() < 2);
  }
}

TEST_CASE("a batch that does not matter is not made to", "[fit]") {
  // Weak scaling at 0.5 % lost per doubling, to which a false column of micro-batches was given.
  ScalingCurve curve;
  curve.name = "false batch";
  const double batches[] = {32, 8, 2, 16, 4, 32};
  const auto cost = [](double n) { return 0.01 * (1 + 0.005 * std::log2(n)); };
  for (int k = 0; k < 6; ++k) {
    const int n = 8 << k;
    curve.points.push_back({n, batches[k], n / cost(n), ""});
  }
  const Fit fit = fit_curve(curve);
  CHECK(fit.batch_share().known);
  CHECK(fit.batch_share().none > 0.8);
  for (const double batch : {2.0, 32.0})
    CHECK(fit.predict(512, batch).samples_per_s == Approx(512 / cost(512)).epsilon(0.02));
}

TEST_CASE("an outlier and a break are named", "[fit]") {
  NormalDraws normal(5);
  auto curve = tests::synthetic_curve(plain_cost, 0.002, kRanks, 1, normal);
  CHECK(fit_curve(curve).suspects().empty());
  auto outlier = curve;
  outlier.points[3].samples_per_s *= 0.75;
  REQUIRE(fit_curve(outlier).suspects().size() == 1);
  CHECK_FALSE(fit_curve(outlier).suspects().front().is_break);
  CHECK(fit_curve(outlier).suspects().front().ranks == 8);
  auto broken = curve;
  for (std::size_t i = 4; i < broken.points.size(); ++i) broken.points[i].samples_per_s *= 0.7;
  const auto found = fit_curve(broken).suspects();
  REQUIRE(found.size() == 1);
  CHECK(found.front().is_break);
  CHECK(found.front().ranks == 8);
  CHECK(found.front().to_ranks == 16);
  CHECK(found.front().probability > 0.5);
}

TEST_CASE("batch per rank is a variable: compute x batch + communication", "[fit]") {
  ScalingCurve curve;
  curve.name = "strong";
  const auto step = [](double n, double b) { return 0.01 * b + 0.02 + 0.004 * std::log2(n); };
  for (const int n : {1, 2, 4, 8, 16, 32}) {
    const double b = 64.0 / n;
    curve.points.push_back({n, b, n * b / step(n, b), ""});
  }
  const Fit fit = fit_curve(curve);
  CHECK(fit.default_batch(64) == Approx(1));  // the global batch stays
  const auto p = fit.predict(64);
  const double truth = 64 / step(64, 1);
  CHECK(p.samples_per_s == Approx(truth).epsilon(0.10));
  CHECK(p.low < truth);
  CHECK(p.high > truth);
  CHECK(fit.ideal(64) > 1.3 * truth);  // what ideal scaling says is far off
}

TEST_CASE("what a step costs is believed in the middle of the batches, not at the largest", "[fit]") {
  // Nothing lost while the batch falls from 8,192 to 2,048 (as measured for BERT on A100). As shares of
  // compute at 8,192 the priors would expect 72 % of the efficiency at 128 ranks.
  ScalingCurve curve;
  curve.name = "large batches";
  curve.points = {{8, 8192, 800, ""}, {16, 4096, 1610, ""}, {32, 2048, 3185, ""}};
  const Fit fit = fit_curve(curve);
  const auto p = fit.predict(128);
  CHECK(p.efficiency > 0.74);
  CHECK(p.low < 12800);
  // Only ratios of batches matter.
  for (auto& point : curve.points) point.batch_per_rank /= 1024;
  CHECK(fit_curve(curve).predict(128).low == Approx(p.low).epsilon(1e-6));
}

TEST_CASE("what was measured on one host says less of several", "[fit]") {
  const auto width_at_double = [](std::int64_t first) {
    ScalingCurve curve;
    curve.name = "weak";
    for (std::int64_t n = first; n <= 4 * first; n *= 2)
      curve.points.push_back({n, 32, 100.0 * static_cast<double>(n), ""});
    const auto p = fit_curve(curve).predict(8 * first);
    return std::log(p.high / p.low);
  };
  CHECK(width_at_double(2) > 1.3 * width_at_double(4));  // 2 .. 8 to 16, against 4 .. 16 to 32
  CHECK(width_at_double(1) < 1.2 * width_at_double(4));  // 1 .. 4 to 8: still one host
}

TEST_CASE("little or bad data gives honest intervals, never a NaN", "[fit]") {
  ScalingCurve one;
  one.name = "one";
  one.points = {{8, kUnknownBatch, 100, ""}};
  const Fit fit = fit_curve(one);
  const auto p = fit.predict(1024);
  CHECK(p.low < 0.8 * p.high);
  CHECK_THAT(fit.notes().front(), contains("one rank count only (8)"));
  CHECK_NOTHROW(gpumonth::to_text(to_json(fit, default_targets(fit))));  // throws on nan, inf, null

  ScalingCurve disagree = one;
  disagree.points = {{8, kUnknownBatch, 100, ""},
                     {8, kUnknownBatch, 180, ""},
                     {16, kUnknownBatch, 220, ""},
                     {16, kUnknownBatch, 330, ""},
                     {32, kUnknownBatch, 500, ""}};
  const Fit wide = fit_curve(disagree);
  CHECK(wide.predict(64).high > 1.5 * wide.predict(64).low);
  CHECK_THAT(wide.notes().front(), contains("differ by 80 %"));

  ScalingCurve units = one;  // the second and third row in thousands
  units.points = {{1, kUnknownBatch, 10, ""}, {2, kUnknownBatch, 20000, ""}, {4, kUnknownBatch, 40000, ""}};
  const Fit jump = fit_curve(units);
  CHECK_THAT(jump.notes().back(), contains("at 2 ranks is 1000 times that at 1"));
  CHECK(std::isfinite(jump.predict(64).high));
  units.points[1].samples_per_s = 1e308;
  CHECK_THROWS_WITH(fit_curve(units), contains("2 ranks: a throughput of 1e+308 cannot be"));

  ScalingCurve wild = one;  // throughput that falls by half per doubling
  wild.points = {{1, kUnknownBatch, 1e-9, ""}, {2, kUnknownBatch, 5e-10, ""}, {1000000000, kUnknownBatch, 1e12, ""}};
  const auto w = fit_curve(wild).predict(1000000000);
  CHECK(std::isfinite(w.low));
  CHECK(std::isfinite(w.high));

  one.points.clear();
  CHECK_THROWS_AS(fit_curve(one), UserError);
  one.points = {{8, kUnknownBatch, NAN, ""}};
  CHECK_THROWS_AS(fit_curve(one), UserError);
}

TEST_CASE("one wild point does not carry the forecast away", "[fit]") {
  NormalDraws normal(4);
  auto curve = tests::synthetic_curve(plain_cost, 0.003, kRanks, 1, normal);
  curve.points[3].samples_per_s *= 0.6;
  const double truth = 128 / plain_cost(128);
  CHECK(fit_curve(curve).predict(128).samples_per_s == Approx(truth).epsilon(0.03));
}

TEST_CASE("targets of --predict", "[fit]") {
  const auto targets = parse_targets("8,16:0.5");
  REQUIRE(targets.size() == 2);
  CHECK(std::isnan(targets[0].batch_per_rank));
  CHECK(targets[1].batch_per_rank == 0.5);
  for (const char* wrong : {"", "0", "8,", "8:", "x", "-1", "2.5", "8:0", "1e12"})
    CHECK_THROWS_AS(parse_targets(wrong), UserError);
}

TEST_CASE("baselines recover their own curves", "[fit]") {
  const auto curve_of = [](auto throughput) {
    ScalingCurve c;
    for (const int n : {1, 2, 4, 8, 16}) c.points.push_back({n, kUnknownBatch, throughput(n), ""});
    return c;
  };
  const auto amdahl = [](double n) { return 100 * n / (1 + 0.02 * (n - 1)); };
  const auto usl = [](double n) { return 100 * n / (1 + 0.01 * (n - 1) + 1e-4 * n * (n - 1)); };
  const auto pmnf = [](double n) { return n / (0.01 + 0.002 * std::log2(n)); };
  CHECK(forecast(Baseline::ideal, curve_of(amdahl), 32) == Approx(2 * amdahl(16)));
  CHECK(forecast(Baseline::amdahl, curve_of(amdahl), 64) == Approx(amdahl(64)).epsilon(1e-4));
  CHECK(forecast(Baseline::usl, curve_of(usl), 64) == Approx(usl(64)).epsilon(1e-3));
  CHECK(forecast(Baseline::extrap, curve_of(pmnf), 64) == Approx(pmnf(64)).epsilon(1e-6));
}
