// Monte Carlo over uncertain inputs, and which share of the result's variance each of them is responsible
// for. A model works on columns: one value per draw, so that a formula stands there as it stands on paper.
#pragma once

#include <Eigen/Core>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace gpumonth::budget {

using Column = Eigen::ArrayXd;

struct UncertainInput {
  std::string name;                        ///< scenario key, or what it is: "scaling efficiency"
  std::function<double(double)> quantile;  ///< inverse of its distribution function, for 0 < u < 1
};

/// Drawn values by input; every column has the same length.
struct Sample {
  Eigen::Index draws = 0;
  std::map<std::string, Column> values;
};

/// n points in the unit cube of d dimensions, one in each of n equal slices of every axis (McKay, Beckman and
/// Conover 1979). The same seed gives the same bits on every machine.
Eigen::MatrixXd latin_hypercube(Eigen::Index n, Eigen::Index d, std::uint64_t seed);

/// The column's own values in the order of normal scores sqrt(r) c + sqrt(1 - r) e, where c is the sequence of the seed
/// `common` and e that of `own`: two columns with the same `common` have this rank correlation (Iman and Conover 1982; r =
/// 2 sin(pi rank / 6) is Pearson's), and every margin stays what it was.
void pair_column(Eigen::MatrixXd& points, Eigen::Index column, double rank, std::uint64_t common, std::uint64_t own);

/// Turns points of the unit cube, one row each, into values.
Sample sample_at(const std::vector<UncertainInput>& inputs, const Eigen::MatrixXd& points);

using Model = std::function<Column(const Sample&)>;

struct VarianceShare {
  std::string input;
  double first_order = 0;  ///< share of Var(log result) that is gone once this input alone is known
  double total = 0;        ///< share that stays while this input alone is unknown; more than first_order: interactions
  double low = 0, high = 0;  ///< result with this input at its 5 % or 95 % quantile, the others at their
                             ///< medians; low <= high
  double middle = 0;         ///< result with all inputs at their medians; not the median of the result
};

/// Sobol indices of the logarithm of a positive result, because a budget is a product: there the shares of
/// independent factors add up to 1. First order by Saltelli et al. 2010 (table 2 b), total by Jansen 1999; n
/// (d + 2) evaluations, error about 1 / sqrt(n); a share that comes out below 0 is 0. Largest first. Without
/// any variance: empty.
std::vector<VarianceShare> variance_shares(const std::vector<UncertainInput>& inputs, const Model& model,
                                           Eigen::Index n, std::uint64_t seed);

/// Quantile of a column (Hyndman and Fan type 7).
double quantile_of(const Column& column, double q);

/// 90 % of the draws, and their median.
struct Spread {
  double low = 0, median = 0, high = 0;
};
Spread spread_of(const Column& column);

}  // namespace gpumonth::budget
