// The law against closed forms, against what publications print of theirs, and against a search over the split.
#include "scaling/loss/loss_law.h"

#include <cmath>

#include "scaling/loss/isoflop.h"
#include "tests/catch.h"
#include "tests/scaling/loss/planted.h"

using namespace gpumonth;
using namespace gpumonth::scaling;

namespace {

std::vector<LawPoint> points_of(const std::vector<LossRun>& runs) {
  std::vector<LawPoint> points;
  for (const auto& run : runs) points.push_back({run.parameters, run.tokens, std::log(run.loss), 1e-3});
  return points;
}

}  // namespace

TEST_CASE("losses that lie on a law give it back, from no start at all", "[loss]") {
  NormalDraws normal(1);
  const LossLaw truth = tests::planted_law();
  const LossLaw law = fit_loss_law(points_of(tests::planted_runs(truth, 0, normal)), 1);
  CHECK(law.floor == Approx(truth.floor).epsilon(1e-4));
  CHECK(law.n_scale == Approx(truth.n_scale).epsilon(1e-4));
  CHECK(law.n_exponent == Approx(truth.n_exponent).epsilon(1e-4));
  CHECK(law.d_scale == Approx(truth.d_scale).epsilon(1e-4));
  CHECK(law.d_exponent == Approx(truth.d_exponent).epsilon(1e-4));
}

TEST_CASE("one run that is off by half moves the law by less than the scatter", "[loss]") {
  NormalDraws normal(2);
  auto runs = tests::planted_runs(tests::planted_law(), 0.003, normal);
  const LossLaw before = fit_loss_law(points_of(runs), 1);
  runs[7].loss *= 1.5;
  const LossLaw after = fit_loss_law(points_of(runs), 1);
  CHECK(std::abs(after.loss(3e6, 1e7) / before.loss(3e6, 1e7) - 1) < 0.02);
}

TEST_CASE("the published laws of text have the exponents that their papers print", "[loss]") {
  // Hoffmann et al., arXiv 2203.15556, equation 10 and table 2: 0.46 and 0.54 of approach 3.
  const OptimalSplit hoffmann = optimal_split({1.69, 406.4, 0.34, 410.7, 0.28}, {6, 1});
  CHECK(hoffmann.n_exponent == Approx(0.46).margin(0.01));
  CHECK(hoffmann.d_exponent == Approx(0.54).margin(0.01));
  // Besiroglu et al., arXiv 2404.10102: the same data, 0.512, and about 20 tokens per parameter at Chinchilla's compute.
  const OptimalSplit besiroglu = optimal_split({1.8172, 482.01, 0.3478, 2085.43, 0.3658}, {6, 1});
  CHECK(besiroglu.n_exponent == Approx(0.512).margin(0.002));
  const double compute = 5.76e23;
  const double parameters = besiroglu.n_scale * std::pow(compute, besiroglu.n_exponent);
  const double tokens = besiroglu.d_scale * std::pow(compute, besiroglu.d_exponent);
  CHECK(6 * parameters * tokens == Approx(compute).epsilon(1e-9));
  CHECK(tokens / parameters == Approx(20).epsilon(0.3));
}

TEST_CASE("the best split in closed form is where a search finds the lowest loss", "[loss]") {
  const LossLaw law = tests::planted_law();
  const FlopsLaw flops{31, 0.9};
  const OptimalSplit split = optimal_split(law, flops);
  for (const double compute : {1e12, 1e15}) {
    double best = 0, lowest = 1e9;
    for (double log_n = std::log(1e2); log_n < std::log(1e9); log_n += 1e-4) {
      const double n = std::exp(log_n), loss = law.loss(n, compute / (flops.scale * std::pow(n, flops.exponent)));
      if (loss >= lowest) continue;
      lowest = loss;
      best = n;
    }
    const double n = split.n_scale * std::pow(compute, split.n_exponent);
    CHECK(n == Approx(best).epsilon(1e-3));
    CHECK(split.d_scale * std::pow(compute, split.d_exponent) ==
          Approx(compute / (flops.scale * std::pow(n, flops.exponent))).epsilon(1e-9));
  }
}

TEST_CASE("compute per token over the size is a power law, and that of one size is proportional", "[loss]") {
  std::vector<SizedCost> costs;
  for (const double n : {1e4, 1e5, 1e6}) costs.push_back({n, 7 * std::pow(n, 0.93)});
  CHECK(fit_flops_law(costs).exponent == Approx(0.93).epsilon(1e-9));
  CHECK(fit_flops_law(costs).scale == Approx(7).epsilon(1e-9));
  costs.resize(1);
  CHECK(fit_flops_law(costs).exponent == 1);
}

TEST_CASE("a parabola's lowest point, its data and whether it lies among the sizes", "[loss]") {
  std::vector<LossRun> runs;
  // log L = -1 + 0.1 (log N - log 2e5)^2, and D = 1e12 / (6 N)
  for (const double size : {5e4, 1e5, 2e5, 8e5}) {
    const double x = std::log(size / 2e5);
    runs.push_back({"", size, 1, 1e12 / (6 * size), 1e12 * (1 + 1e-3 * x), std::exp(-1 + 0.1 * x * x), 0});
  }
  runs.push_back({"", 1e5, 1, 1e7, 9e12, 0.5, 0});  // a budget of its own
  const auto budgets = isoflop_budgets(runs);
  REQUIRE(budgets.size() == 1);
  CHECK(budgets[0].sizes == 4);
  CHECK(budgets[0].inside);
  CHECK(budgets[0].lowest.parameters == Approx(2e5).epsilon(1e-9));
  CHECK(budgets[0].lowest.loss == Approx(std::exp(-1)).epsilon(1e-9));
  CHECK(budgets[0].lowest.tokens == Approx(1e12 / (6 * 2e5)).epsilon(1e-9));
  runs.erase(runs.begin() + 2, runs.begin() + 4);  // two sizes are left
  CHECK(isoflop_budgets(runs).empty());
}

TEST_CASE("without a minimum among the sizes there is none inside", "[loss]") {
  std::vector<LossRun> runs;
  for (const double size : {1e5, 2e5, 4e5}) runs.push_back({"", size, 1, 1e7 / size, 1e12, std::pow(size, -0.1), 0});
  CHECK_FALSE(isoflop_budgets(runs).at(0).inside);
  for (auto& run : runs) run.loss = std::exp(-std::pow(std::log(run.parameters / 2e5), 2));
  CHECK_FALSE(isoflop_budgets(runs).at(0).lowest.bends_up);
}

TEST_CASE("a power law through two points, and none through one", "[loss]") {
  const std::vector<double> x = {1e12, 1e14}, y = {1e5, 1e6};
  CHECK(fit_power_law(x, y).exponent == Approx(0.5));
  CHECK(fit_power_law(x, y).scale == Approx(1e5 / 1e6).epsilon(1e-9));
  CHECK(std::isnan(fit_power_law(std::vector{1e12}, std::vector{1e5}).exponent));
}
