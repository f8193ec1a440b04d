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
  return recovery;
}

bool tells_of_far_off(const LossFit& fit) {
  return std::ranges::any_of(fit.notes, [](const std::string& n) { return n.find("is off by") != std::string::npos; });
}

std::string text_of(const Recovery& r) {
  return fmt::format("held {} of {}, errors: median {:.4f}, 95 % {:.4f}, most {:.4f}", r.held, r.all,
                     quantile(r.errors, 0.5), quantile(r.errors, 0.95), *std::ranges::max_element(r.errors));
}

void check_coverage(const Recovery& r) {
  const double coverage = static_cast<double>(r.held) / r.all;
  CHECK(coverage >= 0.85);
  CHECK(coverage <= 0.95);
}

}  // namespace

TEST_CASE("planted laws: held-out losses within 5 % in every draw, and inside 85 .. 95 % of the time",
          "[loss][recovery]") {
  for (const char* which : {"largest", "largest-budget"}) {
    const Recovery r = recover(tests::planted_law(), 1, 200, which);
    INFO(which << ": " << text_of(r));
    CHECK(*std::ranges::max_element(r.errors) < 0.05);
    check_coverage(r);
  }
}

TEST_CASE("planted laws: losses known to different precision, 1 % at a million tokens and less at more",
          "[loss][recovery]") {
  const Recovery r = recover(tests::planted_law(), 2000, 200, "largest", 0.01);
  INFO(text_of(r));
  CHECK(quantile(r.errors, 0.95) < 0.05);  // the held-out size's own runs have errors of up to 3 % here
  check_coverage(r);
}

TEST_CASE("planted laws: the exponents' intervals hold them", "[loss][recovery]") {
  const LossLaw truth = tests::planted_law();
  const OptimalSplit split = optimal_split(truth, {6, 1});
  int by_law = 0, by_parabolas = 0, far_off = 0;
  constexpr int kDraws = 200;
  std::vector<double> errors;
  for (int seed = 1; seed <= kDraws; ++seed) {
    NormalDraws normal(static_cast<std::uint64_t>(3000 + seed));
    const auto fit = fit_loss({LossKind::validation, tests::planted_runs(truth, kScatter, normal), {}}, {{}, 200});
    const auto holds = [&](const LossEstimate& e) { return e.low <= split.n_exponent && split.n_exponent <= e.high; };
    by_law += holds(fit.by_law.n_exponent);
    by_parabolas += holds(fit.by_parabolas.n_exponent);
    errors.push_back(std::abs(fit.by_law.n_exponent.value - split.n_exponent));
    far_off += tells_of_far_off(fit);
  }
  INFO("by the law " << by_law << ", by the parabolas " << by_parabolas << ", off by " << quantile(errors, 0.5)
                     << " in the median");
  for (const int held : {by_law, by_parabolas}) {
    CHECK(held >= 0.85 * kDraws);
    CHECK(held <= 0.95 * kDraws);
  }
  CHECK(quantile(errors, 0.5) < 0.05);  // an exponent; 0.545 is planted
  CHECK(far_off <= 4);
}

TEST_CASE("a run that came apart is named", "[loss]") {
  NormalDraws normal(7);
  auto runs = tests::planted_runs(tests::planted_law(), kScatter, normal);
  CHECK_FALSE(tells_of_far_off(fit_loss({LossKind::validation, runs, {}}, {{}, 20})));
  for (const std::size_t run : {0, 9, 19}) {
    auto changed = runs;
    changed[run].loss *= 1.12;
    const auto fit = fit_loss({LossKind::validation, changed, {}}, {{}, 20});
    REQUIRE(tells_of_far_off(fit));
    CHECK_THAT(fit.notes.front(), tests::contains(changed[run].name + " is off by +"));
  }
}
