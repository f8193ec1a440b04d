#include "budget/inputs/monte_carlo.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "base/quantile.h"
#include "base/random.h"

namespace gpumonth::budget {
namespace {

double variance(const Column& x) { return (x - x.mean()).square().mean(); }

Column column_of(const UncertainInput& input, const Eigen::VectorXd& u) {
  Column values(u.size());
  for (Eigen::Index i = 0; i < u.size(); ++i) values[i] = input.quantile(u[i]);
  return values;
}

}  // namespace

Eigen::MatrixXd latin_hypercube(Eigen::Index n, Eigen::Index d, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  Eigen::MatrixXd points(n, d);
  std::vector<Eigen::Index> slices(static_cast<std::size_t>(n));
  for (Eigen::Index column = 0; column < d; ++column) {
    std::iota(slices.begin(), slices.end(), Eigen::Index{0});
    for (std::size_t i = slices.size(); i > 1; --i) std::swap(slices[i - 1], slices[random() % i]);
    for (Eigen::Index row = 0; row < n; ++row)
      points(row, column) = (static_cast<double>(slices[static_cast<std::size_t>(row)]) + unit_interval(random())) /
                            static_cast<double>(n);
  }
  return points;
}

void pair_column(Eigen::MatrixXd& points, Eigen::Index column, double rank, std::uint64_t common, std::uint64_t own) {
  const double r = 2 * std::sin(std::acos(-1.0) * rank / 6);
  NormalDraws c(common), e(own);
  std::vector<std::pair<double, Eigen::Index>> scores;
  for (Eigen::Index i = 0; i < points.rows(); ++i) {
    const double part = std::sqrt(r) * c();
    scores.emplace_back(part + std::sqrt(1 - r) * e(), i);
  }
  std::sort(scores.begin(), scores.end());
  Eigen::VectorXd values = points.col(column);
  std::sort(values.begin(), values.end());
  for (std::size_t i = 0; i < scores.size(); ++i)
    points(scores[i].second, column) = values[static_cast<Eigen::Index>(i)];
}

Sample sample_at(const std::vector<UncertainInput>& inputs, const Eigen::MatrixXd& points) {
  Sample sample{points.rows(), {}};
  for (std::size_t i = 0; i < inputs.size(); ++i)
    sample.values[inputs[i].name] = column_of(inputs[i], points.col(static_cast<Eigen::Index>(i)));
  return sample;
}

std::vector<VarianceShare> variance_shares(const std::vector<UncertainInput>& inputs, const Model& model,
                                           Eigen::Index n, std::uint64_t seed) {
  const auto d = static_cast<Eigen::Index>(inputs.size());
  if (d == 0) return {};
  const Sample a = sample_at(inputs, latin_hypercube(n, d, seed));
  const Sample b = sample_at(inputs, latin_hypercube(n, d, seed + 1));
  const Column log_a = model(a).log(), log_b = model(b).log();
  const double all = 0.5 * (variance(log_a) + variance(log_b));
  if (!(all > 1e-20)) return {};
  std::vector<VarianceShare> shares;
  for (const auto& input : inputs) {
    Sample mixed = a;  // all from a, this input from b
    mixed.values[input.name] = b.values.at(input.name);
    const Column log_mixed = model(mixed).log();
    VarianceShare share{.input = input.name};
    share.first_order = std::max(0.0, ((log_b - log_b.mean()) * (log_mixed - log_a)).mean() / all);
    share.total = 0.5 * (log_a - log_mixed).square().mean() / all;
    Eigen::MatrixXd ends = Eigen::MatrixXd::Constant(3, d, 0.5);
    ends(0, &input - inputs.data()) = 0.05;
    ends(1, &input - inputs.data()) = 0.95;
    const Column result = model(sample_at(inputs, ends));
    share.low = result.head(2).minCoeff();
    share.high = result.head(2).maxCoeff();
    share.middle = result[2];
    shares.push_back(share);
  }
  std::stable_sort(shares.begin(), shares.end(),
                   [](const auto& x, const auto& y) { return x.first_order > y.first_order; });
  return shares;
}

double quantile_of(const Column& column, double q) {
  return quantile(std::vector<double>(column.begin(), column.end()), q);
}

Spread spread_of(const Column& column) {
  return {quantile_of(column, 0.05), quantile_of(column, 0.5), quantile_of(column, 0.95)};
}

}  // namespace gpumonth::budget
