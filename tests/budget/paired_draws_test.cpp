// Inputs that share a source are drawn together, with a rank correlation of 0.5. What that does to the range is in
// docs/method.md, "What the range comes from"; `budget_test "[paired]" -s` prints it.
#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <numeric>

#include "budget/budget.h"
#include "tests/budget/samples.h"
#include "tests/catch.h"

using namespace gpumonth;

namespace {

double rank_correlation(const Eigen::VectorXd& x, const Eigen::VectorXd& y) {
  const auto ranks = [](const Eigen::VectorXd& values) {
    std::vector<Eigen::Index> order(static_cast<std::size_t>(values.size()));
    std::iota(order.begin(), order.end(), Eigen::Index{0});
    std::sort(order.begin(), order.end(), [&values](auto a, auto b) { return values[a] < values[b]; });
    Eigen::ArrayXd rank(values.size());
    for (std::size_t i = 0; i < order.size(); ++i) rank[order[i]] = static_cast<double>(i);
    return Eigen::ArrayXd(rank - rank.mean());
  };
  const Eigen::ArrayXd a = ranks(x), b = ranks(y);
  return (a * b).sum() / std::sqrt(a.square().sum() * b.square().sum());
}

struct Planned {
  budget::Scenario scenario;
  std::vector<std::string> notes = {};
  std::optional<budget::ScalingBasis> basis = {};
};

budget::TrainingPlan plan_of(Planned& p, std::int64_t gpus) {
  p.basis = budget::scaling_basis(p.scenario, {}, gpus, nullptr, p.notes);
  return budget::make_training_plan(p.scenario, budget::reached_utilisation(p.scenario, {}), &*p.basis, gpus, p.notes);
}

}  // namespace

TEST_CASE("paired columns keep their margins and have the rank correlation", "[paired]") {
  const Eigen::MatrixXd before = budget::latin_hypercube(16384, 3, 1);
  for (const double rank : {0.0, 0.5, 0.9}) {
    INFO(rank);
    Eigen::MatrixXd points = before;
    budget::pair_column(points, 0, rank, 5, 6);
    budget::pair_column(points, 2, rank, 5, 7);
    // The standard error of a rank correlation is about 1 / sqrt(16,384) = 0.008; four of them.
    CHECK(rank_correlation(points.col(0), points.col(2)) == Approx(rank).margin(0.032));
    CHECK(std::abs(rank_correlation(points.col(0), points.col(1))) < 0.032);
    for (const Eigen::Index column : {0, 2}) {
      Eigen::VectorXd a = before.col(column), b = points.col(column);
      std::sort(a.begin(), a.end());
      std::sort(b.begin(), b.end());
      CHECK(a == b);
    }
  }
}

TEST_CASE("a budget draws together what shares a source, and nothing else", "[paired]") {
  Planned p{tests::sora({"training.data_factor=4..10"})};
  const auto training = plan_of(p, 4096);
  const auto correlation = [&](const std::string& a, const std::string& b) {
    return rank_correlation(training.sample.values.at(a).matrix(), training.sample.values.at(b).matrix());
  };
  CHECK(correlation(budget::kUtilisationInput, budget::kEfficiencyInput) == Approx(0.5).margin(0.04));
  CHECK(correlation("goodput.failure_rate", "goodput.other_stops") == Approx(0.5).margin(0.032));
  CHECK(correlation("training.data_factor", "batch.critical") == Approx(0.5).margin(0.032));
  CHECK(std::abs(correlation("training.data_factor", budget::kUtilisationInput)) < 0.032);
  CHECK(std::abs(correlation("goodput.failure_rate", "goodput.restart")) < 0.032);
}

TEST_CASE("what drawing together does to the range", "[paired]") {
  for (const std::int64_t gpus : {512, 4096, 16384}) {
    Planned p{tests::sora()};
    const auto training = plan_of(p, gpus);
    const auto& inputs = training.simulation.inputs();
    const auto points =
        budget::latin_hypercube(budget::kDraws, static_cast<Eigen::Index>(inputs.size()), budget::kMonteCarloSeed);
    const auto apart = budget::spread_of(training.simulation.evaluate(sample_at(inputs, points)).months);
    const auto together = budget::spread_of(training.outcome.months);
    const double low = together.low / apart.low - 1, high = together.high / apart.high - 1;
    INFO(gpus << " GPUs: low end " << 100 * low << " %, high end " << 100 * high << " %, median "
              << 100 * (together.median / apart.median - 1) << " %");
    CHECK(std::abs(low) < 0.5);  // a range of other inputs, not another budget
    CHECK(std::abs(high) < 0.5);
    CHECK(together.median == Approx(apart.median).epsilon(0.1));
  }
}
