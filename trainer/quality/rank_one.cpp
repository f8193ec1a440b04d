#include "trainer/quality/rank_one.h"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>

namespace gpumonth::trainer {
namespace {

constexpr double kEmpty = 1e-12;  // variance below which a latent shows nothing

template <class T>
using Planes = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;  // (C, n)

}  // namespace

RankOne rank_one(std::span<const float> latent, std::int64_t channels) {
  const auto n = static_cast<std::int64_t>(latent.size()) / channels;
  Planes<double> planes = Eigen::Map<const Planes<float>>(latent.data(), channels, n).cast<double>();
  const Eigen::VectorXd means = planes.rowwise().mean();
  planes.colwise() -= means;
  const Eigen::MatrixXd covariance = planes * planes.transpose() / static_cast<double>(n);
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(covariance);
  const double variance = solver.eigenvalues()[channels - 1];  // they ascend
  Eigen::VectorXd direction = solver.eigenvectors().col(channels - 1);
  Eigen::VectorXd along = planes.transpose() * direction;
  if (along.array().cube().sum() < 0) {
    direction = -direction;
    along = -along;
  }
  RankOne r{.direction = std::vector<double>(direction.begin(), direction.end()),
            .pattern = std::vector<float>(static_cast<std::size_t>(n)),
            .empty = !(variance > kEmpty)};
  if (r.empty) return r;
  std::transform(along.begin(), along.end(), r.pattern.begin(),
                 [&](double value) { return static_cast<float>(value / std::sqrt(variance)); });
  return r;
}

}  // namespace gpumonth::trainer
