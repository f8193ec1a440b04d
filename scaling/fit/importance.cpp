#include "scaling/fit/importance.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "base/random.h"

namespace gpumonth::scaling {
namespace {

constexpr double kFreedom = 5;      // of the proposal
constexpr double kDefensive = 0.1;  // share of draws from the prior
constexpr int kRoundDraws = 800;
constexpr int kMaxRounds = 25;

struct Proposal {
  Eigen::VectorXd mean;
  Eigen::MatrixXd factor;  // Cholesky factor of the scale matrix
  double log_scale = 0;    // log of the t density's constant

  void set(const Eigen::VectorXd& m, const Eigen::MatrixXd& covariance) {
    mean = m;
    const auto d = static_cast<double>(m.size());
    Eigen::MatrixXd scale = covariance;
    scale.diagonal().array() += 1e-9;
    factor = scale.llt().matrixL();
    log_scale = std::lgamma((kFreedom + d) / 2) - std::lgamma(kFreedom / 2) -
                d / 2 * std::log(kFreedom * std::numbers::pi) - factor.diagonal().array().log().sum();
  }
  double log_density(const Eigen::VectorXd& u) const {
    const auto d = static_cast<double>(mean.size());
    const double square = factor.triangularView<Eigen::Lower>().solve(u - mean).squaredNorm();
    const double t = log_scale - (kFreedom + d) / 2 * std::log1p(square / kFreedom);
    const double prior = -0.5 * u.squaredNorm() - d / 2 * std::log(2 * std::numbers::pi);
    const double high = std::max(t, prior);
    return high + std::log((1 - kDefensive) * std::exp(t - high) + kDefensive * std::exp(prior - high));
  }
  Eigen::VectorXd draw(NormalDraws& random) const {
    Eigen::VectorXd z(mean.size());
    const bool from_prior = random.uniform() < kDefensive;
    for (auto& value : z) value = random();
    if (from_prior) return z;
    double chi_square = 0;
    for (int i = 0; i < static_cast<int>(kFreedom); ++i) {
      const double x = random();
      chi_square += x * x;
    }
    return mean + factor * z * std::sqrt(kFreedom / chi_square);
  }
};

struct ProposalDraws {
  Eigen::MatrixXd u;
  Eigen::VectorXd log_likelihood, log_base;  // log prior - log proposal
};

ProposalDraws sample(const Proposal& proposal, int draws, const std::function<double(const double*)>& log_likelihood,
                     NormalDraws& random) {
  const auto d = proposal.mean.size();
  ProposalDraws s{Eigen::MatrixXd(d, draws), Eigen::VectorXd(draws), Eigen::VectorXd(draws)};
  for (int i = 0; i < draws; ++i) {
    const Eigen::VectorXd u = proposal.draw(random);
    s.u.col(i) = u;
    s.log_likelihood[i] = log_likelihood(u.data());
    s.log_base[i] =
        -0.5 * u.squaredNorm() - static_cast<double>(d) / 2 * std::log(2 * std::numbers::pi) - proposal.log_density(u);
  }
  return s;
}

/// Weights at a power of the likelihood; returns their effective number, and the log of their mean.
double weigh(const ProposalDraws& s, double power, Eigen::VectorXd& weight, double* log_mean = nullptr) {
  weight = s.log_base + power * s.log_likelihood;
  const double high = weight.maxCoeff();
  weight = (weight.array() - high).exp();
  const double sum = weight.sum();
  if (log_mean) *log_mean = high + std::log(sum / static_cast<double>(weight.size()));
  weight /= sum;
  return 1 / weight.squaredNorm();
}

/// The largest power up to 1 at which at least `target` effective draws are left.
double choose_power(const ProposalDraws& s, double from, double target, Eigen::VectorXd& weight) {
  if (weigh(s, 1, weight) >= target) return 1;
  double low = from, high = 1;
  for (int i = 0; i < 30; ++i) {
    const double middle = 0.5 * (low + high);
    (weigh(s, middle, weight) >= target ? low : high) = middle;
  }
  weigh(s, low, weight);
  return low;
}

}  // namespace

WeightedDraws importance_sample(int dimension, const std::function<double(const double*)>& log_likelihood, int draws,
                                std::uint64_t seed) {
  NormalDraws random(seed);
  Proposal proposal;
  proposal.set(Eigen::VectorXd::Zero(dimension), Eigen::MatrixXd::Identity(dimension, dimension));
  Eigen::VectorXd weight;
  double power = 0;
  int at_full_power = 0;
  for (int round = 0; round < kMaxRounds && at_full_power < 3; ++round) {
    const ProposalDraws s = sample(proposal, kRoundDraws, log_likelihood, random);
    power = choose_power(s, 0, std::max(40.0, 12.0 * dimension), weight);
    if (power == 1) ++at_full_power;
    const Eigen::VectorXd mean = s.u * weight;
    const Eigen::MatrixXd centred = s.u.colwise() - mean;
    // A t with 5 degrees of freedom has 5/3 of its scale matrix as covariance; a little wider is safer than narrower.
    proposal.set(mean, 0.8 * (centred * weight.asDiagonal() * centred.transpose()));
  }
  const ProposalDraws s = sample(proposal, draws, log_likelihood, random);
  WeightedDraws result;
  result.effective_draws = weigh(s, 1, result.weight, &result.log_evidence);
  result.u = s.u;
  return result;
}

}  // namespace gpumonth::scaling
