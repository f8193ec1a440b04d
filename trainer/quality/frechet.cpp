#include "trainer/quality/frechet.h"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>

#include "base/quantile.h"
#include "base/random.h"

namespace gpumonth::trainer {
namespace {

constexpr int kResamples = 200;
constexpr std::uint64_t kResampleSeed = 1;

struct NormalLaw {
  Eigen::VectorXd mean;
  Eigen::MatrixXd covariance;
};

Eigen::MatrixXd matrix_of(const Features& rows) {
  Eigen::MatrixXd m(static_cast<Eigen::Index>(rows.size()), static_cast<Eigen::Index>(rows.front().size()));
  for (Eigen::Index i = 0; i < m.rows(); ++i)
    for (Eigen::Index j = 0; j < m.cols(); ++j)
      m(i, j) = rows[static_cast<std::size_t>(i)][static_cast<std::size_t>(j)];
  return m;
}

NormalLaw law_of(const Eigen::MatrixXd& rows) {
  NormalLaw law;
  law.mean = rows.colwise().mean();
  const Eigen::MatrixXd centred = rows.rowwise() - law.mean.transpose();
  law.covariance = centred.transpose() * centred / static_cast<double>(rows.rows() - 1);
  return law;
}

/// Of a positive semidefinite matrix; eigenvalues that rounding made negative are zero.
Eigen::MatrixXd root_of(const Eigen::MatrixXd& m) {
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(m);
  return solver.eigenvectors() * solver.eigenvalues().cwiseMax(0).cwiseSqrt().asDiagonal() *
         solver.eigenvectors().transpose();
}

/// tr (S_a S_b)^(1/2) = tr (R S_b R)^(1/2) with R = S_a^(1/2): that matrix is symmetric.
double distance_of(const NormalLaw& a, const Eigen::MatrixXd& root_a, const NormalLaw& b) {
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(root_a * b.covariance * root_a, Eigen::EigenvaluesOnly);
  const double roots = solver.eigenvalues().cwiseMax(0).cwiseSqrt().sum();
  return std::max(0.0, (a.mean - b.mean).squaredNorm() + a.covariance.trace() + b.covariance.trace() - 2 * roots);
}

/// Each feature in units of its standard deviation in `truth`.
Eigen::VectorXd units_of(const Eigen::MatrixXd& truth) {
  Eigen::VectorXd deviations = law_of(truth).covariance.diagonal().cwiseSqrt();
  for (double& d : deviations) d = d > 1e-6 ? d : 1;
  return deviations;
}

Eigen::MatrixXd in_units(const Features& rows, const Eigen::VectorXd& units) {
  return matrix_of(rows) * units.cwiseInverse().asDiagonal();
}

}  // namespace

double frechet_distance(const Features& a, const Features& b) {
  const NormalLaw law_a = law_of(matrix_of(a)), law_b = law_of(matrix_of(b));
  return distance_of(law_a, root_of(law_a.covariance), law_b);
}

FrechetResult frechet(const Features& samples, const Features& truth, const Features& more_truth) {
  const Eigen::VectorXd units = units_of(matrix_of(truth));
  const NormalLaw law = law_of(in_units(truth, units));
  const Eigen::MatrixXd root = root_of(law.covariance), rows = in_units(samples, units),
                        more = in_units(more_truth, units);
  FrechetResult result;
  result.distance = distance_of(law, root, law_of(rows));

  const Eigen::Index sets = more.rows() / rows.rows();
  for (Eigen::Index s = 0; s < sets; ++s)
    result.floor +=
        distance_of(law, root, law_of(more.middleRows(s * rows.rows(), rows.rows()))) / static_cast<double>(sets);

  NormalDraws draws(kResampleSeed);
  std::vector<double> resampled;
  double sum = 0;
  Eigen::MatrixXd drawn(rows.rows(), rows.cols());
  for (int r = 0; r < kResamples; ++r) {
    for (Eigen::Index i = 0; i < rows.rows(); ++i)
      drawn.row(i) = rows.row(static_cast<Eigen::Index>(draws.uniform() * static_cast<double>(rows.rows())));
    resampled.push_back(distance_of(law, root, law_of(drawn)));
    sum += resampled.back();
  }
  const double mean = sum / kResamples;
  result.low = std::max(0.0, result.distance + quantile(resampled, 0.05) - mean);
  result.high = result.distance + quantile(resampled, 0.95) - mean;
  return result;
}

}  // namespace gpumonth::trainer
