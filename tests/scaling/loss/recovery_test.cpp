// Planted laws: 20 runs each, 5 sizes x 4 budgets, scattered by 1 %; the largest size's four are held out. What is counted over
// 200 draws: how far the forecast is from the planted loss, and how often the 90 % interval holds the held-out run.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/quantile.h"
#include "scaling/loss/loss_fit.h"
#include "tests/catch.h"
#include "tests/scaling/loss/planted.h"

using namespace gpumonth;
using namespace gpumonth::scaling;

namespace {

constexpr double kScatter = 0.01;

struct Recovery {
  std::vector<double> errors;  ///< |forecast / planted loss - 1| of every held-out run
  int held = 0, all = 0;       ///< held-out runs inside their interval
};

Recovery recover(const LossLaw& truth, int first_seed, int draws, const std::string& which, double standard_error = 0) {
  Recovery recovery;
  for (int seed = first_seed; seed < first_seed + draws; ++seed) {
    NormalDraws normal(static_cast<std::uint64_t>(seed));
    auto runs = tests::planted_runs(truth, kScatter, normal);
    for (auto& run : runs) {
      // Runs of less data are known less well, on top of the scatter.
      run.standard_error = standard_error * std::sqrt(1e6 / run.tokens) * run.loss;
      run.loss *= std::exp(run.standard_error / run.loss * normal());
    }
    for (const auto& row : hold_out(runs, which, 200).runs) {
      recovery.errors.push_back(std::abs(row.forecast.value / truth.loss(row.run.parameters, row.run.tokens) - 1));
      recovery.held += row.inside;
      ++recovery.all;
    }
  }
  INFO(fmt::format("held {} of {}, errors: median {:.4f}, 95 % {:.4f}, most {:.4f}", recovery.held, recovery.all,
                   quantile(recovery.errors, 0.5), quantile(recovery.errors, 0.95),
                   *std::ranges::max_element(recovery.errors)));
  CHECK(*std::ranges::max_element(recovery.errors) < 0.05);
  const double coverage = static_cast<double>(recovery.held) / recovery.all;
  CHECK(coverage >= 0.85);
  CHECK(coverage <= 0.95);
  WARN(fmt::format("held {} of {}, errors: median {:.4f}, 95 % {:.4f}, most {:.4f}", recovery.held, recovery.all,
                   quantile(recovery.errors, 0.5), quantile(recovery.errors, 0.95),
                   *std::ranges::max_element(recovery.errors)));
  return recovery;
}

}  // namespace

TEST_CASE("planted laws: the largest size within 5 % and inside 85 .. 95 % of the time", "[loss][recovery]") {
  recover(tests::planted_law(), 1, 200, "largest");
}

TEST_CASE("planted laws: the largest budget", "[loss][recovery]") {
  recover(tests::planted_law(), 1000, 200, "largest-budget");
}

TEST_CASE("planted laws: losses that are known to different precision", "[loss][recovery]") {
  recover(tests::planted_law(), 2000, 200, "largest", 0.01);
}

TEST_CASE("planted laws: the exponents' intervals hold them", "[loss][recovery]") {
  const LossLaw truth = tests::planted_law();
  const OptimalSplit split = optimal_split(truth, {6, 1});
  int law = 0, parabolas = 0, all = 0;
  std::vector<double> errors;
  for (int seed = 1; seed <= 200; ++seed) {
    NormalDraws normal(static_cast<std::uint64_t>(3000 + seed));
    const auto fit = fit_loss({LossKind::validation, tests::planted_runs(truth, kScatter, normal), {}}, {{}, 200});
    const auto inside = [&](const LossEstimate& e) { return e.low <= split.n_exponent && split.n_exponent <= e.high; };
    law += inside(fit.by_law.n_exponent);
    parabolas += inside(fit.by_parabolas.n_exponent);
    errors.push_back(std::abs(fit.by_law.n_exponent.value - split.n_exponent));
    ++all;
  }
  WARN(fmt::format("N's exponent {:.3f}: by law {}, by parabolas {} of {}; off by {:.3f} in the median, {:.3f} in 95 %",
                   split.n_exponent, law, parabolas, all, quantile(errors, 0.5), quantile(errors, 0.95)));
  CHECK(law >= 0.85 * all);
  CHECK(parabolas >= 0.80 * all);
}
