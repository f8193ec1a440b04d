// Inputs that share a source are drawn independently. Here they are drawn together instead, with rank correlation 0.5, to
// see whether that matters: docs/method.md, "What the range comes from", has the number. `budget_test "[paired]" -s`
// prints it.
#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "budget/budget.h"
#include "tests/budget/samples.h"
#include "tests/catch.h"

using namespace gpumonth;

namespace {

using Order = std::vector<Eigen::Index>;

/// Places of the values from the smallest to the largest.
Order order_of(const Eigen::VectorXd& x) {
  Order order(static_cast<std::size_t>(x.size()));
  std::iota(order.begin(), order.end(), Eigen::Index{0});
  std::sort(order.begin(), order.end(), [&x](auto a, auto b) { return x[a] < x[b]; });
  return order;
}

double rank_correlation(const Eigen::VectorXd& x, const Eigen::VectorXd& y) {
  const auto ranks = [](const Eigen::VectorXd& values) {
    Eigen::ArrayXd rank(values.size());
    const Order order = order_of(values);
    for (std::size_t i = 0; i < order.size(); ++i) rank[order[i]] = static_cast<double>(i);
    return Eigen::ArrayXd(rank - rank.mean());
  };
  const Eigen::ArrayXd a = ranks(x), b = ranks(y);
  return (a * b).sum() / std::sqrt(a.square().sum() * b.square().sum());
}

/// The columns' own values in another order, so that every pair of them has this rank correlation and every margin stays
/// what it was (Iman and Conover 1982): normal scores with a common part, of Pearson's r = 2 sin(pi rank / 6).
void pair(Eigen::MatrixXd& points, const Order& columns, double rank) {
  const double r = 2 * std::sin(std::acos(-1.0) * rank / 6);
  std::mt19937_64 random(7);
  std::normal_distribution<double> normal;
  Eigen::VectorXd common(points.rows());
  for (auto& x : common) x = normal(random);
  for (const auto column : columns) {
    Eigen::VectorXd scores(points.rows());
    for (Eigen::Index i = 0; i < scores.size(); ++i)
      scores[i] = std::sqrt(r) * common[i] + std::sqrt(1 - r) * normal(random);
    Eigen::VectorXd values = points.col(column);
    std::sort(values.begin(), values.end());
    const Order order = order_of(scores);
    for (std::size_t i = 0; i < order.size(); ++i) points(order[i], column) = values[static_cast<Eigen::Index>(i)];
  }
}

/// Inputs of one source each; of a group those that a scenario draws.
const std::vector<std::vector<std::string>> kGroups = {
    {budget::kUtilisationInput, budget::kEfficiencyInput, "scaling.stragglers"},  // one run's speed, one curve
    {"goodput.failure_rate", "goodput.other_stops", "goodput.restart"},           // the same stops
    {"training.data_factor", "training.samples", "training.overtraining", "batch.critical"}};  // grows with the data

}  // namespace

TEST_CASE("paired columns keep their margins and have the rank correlation", "[paired]") {
  Eigen::MatrixXd points = budget::latin_hypercube(16384, 3, 1);
  const Eigen::MatrixXd before = points;
  pair(points, {0, 2}, 0.5);
  CHECK(rank_correlation(points.col(0), points.col(2)) == Approx(0.5).margin(0.02));
  CHECK(std::abs(rank_correlation(points.col(0), points.col(1))) < 0.03);
  Eigen::VectorXd a = before.col(2), b = points.col(2);
  std::sort(a.begin(), a.end());
  std::sort(b.begin(), b.end());
  CHECK(a == b);
}

TEST_CASE("drawn together or apart, the 90 % range stays within 5 %", "[paired]") {
  for (const char* gpus : {"512", "4096", "16384"}) {
    const auto s = tests::sora({std::string("cost.gpus=") + gpus});
    std::vector<std::string> notes;
    const auto utilisation = budget::reached_utilisation(s, {});
    const auto n = std::stoll(gpus);
    const auto basis = budget::scaling_basis(s, {}, n, nullptr, notes);
    REQUIRE(basis);
    const auto training = budget::make_training_plan(s, utilisation, &*basis, n, notes);
    const auto& inputs = training.simulation.inputs();
    auto points = budget::latin_hypercube(budget::kDraws, static_cast<Eigen::Index>(inputs.size()),
                                          budget::kMonteCarloSeed);
    std::size_t paired = 0;
    for (const auto& group : kGroups) {
      Order columns;
      for (std::size_t i = 0; i < inputs.size(); ++i)
        if (std::find(group.begin(), group.end(), inputs[i].name) != group.end())
          columns.push_back(static_cast<Eigen::Index>(i));
      pair(points, columns, 0.5);
      paired += columns.size();
    }
    CHECK(paired >= 7);
    const auto apart = budget::spread_of(training.outcome.months);
    const auto together = budget::spread_of(training.simulation.evaluate(sample_at(inputs, points)).months);
    const double low = together.low / apart.low - 1, high = together.high / apart.high - 1;
    INFO(gpus << " GPUs: low end " << 100 * low << " %, high end " << 100 * high << " %, median "
              << 100 * (together.median / apart.median - 1) << " %");
    CHECK(std::abs(low) < 0.05);
    CHECK(std::abs(high) < 0.05);
  }
}
