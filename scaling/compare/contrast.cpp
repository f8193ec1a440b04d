#include "scaling/compare/contrast.h"

#include <algorithm>
#include <boost/math/distributions/fisher_f.hpp>
#include <boost/math/distributions/non_central_f.hpp>
#include <cmath>
#include <exception>

#include "base/sampling_distributions.h"

namespace gpumonth::scaling {
namespace {

/// Above it Student's t is the normal distribution, and the series of the noncentral F have no trouble.
constexpr double kManyDegrees = 1e4;

double satterthwaite(const Eigen::VectorXd& cell_contrast, const std::vector<NoiseComponent>& noise, double& variance) {
  variance = 0;
  double spread = 0;
  for (const auto& n : noise) {
    const double part = n.variance * cell_contrast.cwiseAbs2().dot(n.weight);
    variance += part;
    spread += part * part / n.freedom;
  }
  return spread > 0 ? std::min(variance * variance / spread, kManyDegrees) : kManyDegrees;
}

}  // namespace

double ContrastError::t(double confidence) const { return students_t_quantile(freedom, 0.5 + confidence / 2); }

double ContrastError::p_value(double difference) const {
  const double t = std::abs(difference) / standard_error;
  return 2 * students_t_upper(freedom, t);
}

ContrastError contrast_error(const Eigen::VectorXd& contrast, const std::vector<NoiseComponent>& noise) {
  ContrastError error;
  double variance = 0;
  error.freedom = std::max(1.0, satterthwaite(contrast, noise, variance));
  error.standard_error = std::sqrt(variance);
  return error;
}

ContrastTest test_contrasts(const Eigen::MatrixXd& L, const Eigen::VectorXd& means,
                            const std::vector<NoiseComponent>& noise) {
  const auto k = L.rows();
  Eigen::VectorXd cell_variance = Eigen::VectorXd::Zero(L.cols());
  for (const auto& n : noise) cell_variance += n.variance * n.weight;
  const Eigen::MatrixXd V = L * cell_variance.asDiagonal() * L.transpose();
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> eigen(V);

  double sum = 0, lowest = kManyDegrees;
  for (Eigen::Index j = 0; j < k; ++j) {
    double variance = 0;
    const double f = satterthwaite(L.transpose() * eigen.eigenvectors().col(j), noise, variance);
    lowest = std::min(lowest, f);
    sum += f > 2 ? f / (f - 2) : std::numeric_limits<double>::infinity();
  }
  ContrastTest test;
  test.contrasts = static_cast<int>(k);
  const double rows = static_cast<double>(k);
  // At 2 degrees of freedom and below F has no mean to match: the lowest is the safe side.
  test.freedom = k == 1 || !std::isfinite(sum) || sum <= rows ? lowest : 2 * sum / (sum - rows);
  test.freedom = std::clamp(test.freedom, 1.0, kManyDegrees);
  const auto solve = V.ldlt();
  const Eigen::VectorXd difference = L * means;
  test.statistic = std::max(0.0, difference.dot(solve.solve(difference)) / rows);
  test.p_value = boost::math::cdf(boost::math::complement(boost::math::fisher_f(rows, test.freedom), test.statistic));
  return test;
}

double power_of_f(double noncentrality, int contrasts, double freedom, double level) {
  const double k = contrasts;
  const double critical = boost::math::quantile(boost::math::complement(boost::math::fisher_f(k, freedom), level));
  if (!(noncentrality > 0)) return level;
  if (noncentrality > 1e4) return 1;  // the series would take long; for 1 degree of freedom it is 1 - 1e-3
  return boost::math::cdf(boost::math::complement(boost::math::non_central_f(k, freedom, noncentrality), critical));
}

double noncentrality_for(double power, int contrasts, double freedom, double level) try {
  double low = 0, high = 1;
  while (power_of_f(high, contrasts, freedom, level) < power) {
    low = high;
    high *= 2;
    if (high > 1e4) return std::numeric_limits<double>::quiet_NaN();
  }
  for (int i = 0; i < 50; ++i) {
    const double middle = (low + high) / 2;
    (power_of_f(middle, contrasts, freedom, level) < power ? low : high) = middle;
  }
  return high;
} catch (const std::exception&) {  // of Boost, where its series does not converge
  return std::numeric_limits<double>::quiet_NaN();
}

}  // namespace gpumonth::scaling
