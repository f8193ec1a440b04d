#include "budget/plan/critical_batch.h"

#include <Eigen/Dense>
#include <cmath>
#include <stdexcept>

namespace gpumonth::budget {

CriticalBatch fit_critical_batch(const std::vector<ConvergencePoint>& points) {
  const auto n = static_cast<Eigen::Index>(points.size());
  if (n < 3) throw std::invalid_argument("a critical batch needs at least three points");
  Eigen::MatrixXd line(n, 2);  // of 1 and B, both over the samples: every point weighs by its relative distance
  for (Eigen::Index i = 0; i < n; ++i) {
    const ConvergencePoint& p = points[static_cast<std::size_t>(i)];
    if (!(p.batch > 0) || !(p.samples > 0)) throw std::invalid_argument("batch and samples must be above 0");
    line.row(i) << 1 / p.samples, p.batch / p.samples;
  }
  const Eigen::Matrix2d normal = line.transpose() * line;
  const Eigen::Vector2d fit = normal.ldlt().solve(line.transpose() * Eigen::VectorXd::Ones(n));
  const double least = fit[0], slope = fit[1];
  if (!(least > 0) || !(slope > 0) || !fit.allFinite())
    throw std::invalid_argument("the samples do not grow with the batch");
  const double variance = (line * fit - Eigen::VectorXd::Ones(n)).squaredNorm() / static_cast<double>(n - 2);
  const Eigen::Matrix2d covariance = variance * normal.inverse();
  const Eigen::Vector2d gradient(1 / slope, -least / (slope * slope));  // of least / slope
  return {least, least / slope, std::sqrt(gradient.dot(covariance * gradient))};
}

}  // namespace gpumonth::budget
