#include "scaling/fit/nnls.h"

#include <vector>

namespace gpumonth::scaling {

Eigen::VectorXd non_negative_least_squares(const Eigen::MatrixXd& a, const Eigen::VectorXd& b) {
  Eigen::VectorXd best = Eigen::VectorXd::Zero(a.cols());
  double best_cost = b.squaredNorm();
  for (unsigned subset = 1; subset < (1u << a.cols()); ++subset) {
    std::vector<Eigen::Index> columns;
    for (Eigen::Index j = 0; j < a.cols(); ++j)
      if (subset >> j & 1u) columns.push_back(j);
    Eigen::MatrixXd part(a.rows(), static_cast<Eigen::Index>(columns.size()));
    for (std::size_t j = 0; j < columns.size(); ++j) part.col(static_cast<Eigen::Index>(j)) = a.col(columns[j]);
    const Eigen::VectorXd scale = part.colwise().norm().transpose().cwiseMax(1e-300);
    const Eigen::MatrixXd scaled = part * scale.cwiseInverse().asDiagonal();
    const Eigen::ColPivHouseholderQR<Eigen::MatrixXd> qr(scaled);
    if (qr.rank() < scaled.cols()) continue;
    const Eigen::VectorXd x = qr.solve(b);
    if ((x.array() < 0).any()) continue;
    const double cost = (scaled * x - b).squaredNorm();
    if (cost >= best_cost * (1 - 1e-9) - 1e-24) continue;
    best_cost = cost;
    best.setZero();
    for (std::size_t j = 0; j < columns.size(); ++j)
      best[columns[j]] = x[static_cast<Eigen::Index>(j)] / scale[static_cast<Eigen::Index>(j)];
  }
  return best;
}

}  // namespace gpumonth::scaling
