#include "scaling/fit/posterior.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace gpumonth::scaling {
namespace {

constexpr std::array kRoughness{0.25, 0.5, 1.0, 2.0, 4.0};
constexpr double kFlat = 9;         // prior variance of a
constexpr double kHost = 8;         // ranks of one host, as far as tables tell
constexpr double kSmallest = 1e-5;  // weight of a component that a forecast takes along, of the heaviest
constexpr double kLeastVariance = 1e-20;

Place place_of(const Observation& o) { return {o.ranks, o.batch}; }

bool leaves_host(double from, double to) { return from <= kHost && to > kHost; }

}  // namespace

Posterior::Posterior(std::vector<Observation> data, const Constants& constants, const StepModel* parts)
    : data_(std::move(data)), constants_(constants), parts_(parts) {
  const auto [least, most] =
      std::minmax_element(data_.begin(), data_.end(), [](auto& a, auto& b) { return a.batch < b.batch; });
  with_share_ = most->batch / least->batch > 1.0001;
  functions_ = mean_functions(constants_, with_share_, parts != nullptr);
  residual_.resize(std::ssize(data_), std::ssize(functions_));
  Eigen::VectorXd y(std::ssize(data_));
  for (Eigen::Index i = 0; i < y.size(); ++i)
    y[i] = data_[static_cast<std::size_t>(i)].log_cost - data_.back().log_cost;
  for (std::size_t f = 0; f < functions_.size(); ++f)
    residual_.col(static_cast<Eigen::Index>(f)) = y - values(functions_[f]);
  add_covariances();
  weigh();
}

double Posterior::value(const MeanFunction& f, double share, const Place& place) const {
  const Observation& last = data_.back();
  if (f.growth == Growth::components)
    return log_cost(*parts_, f.slope, place) - log_cost(*parts_, f.slope, place_of(last));
  // Below the first point growth is held, as nothing was measured there: 1 - N_L/N of a saturating one would explode.
  const double ranks = std::max(place.ranks, data_.front().ranks);
  return growth(f.growth, f.slope, ranks / last.ranks) + batch_term(share, last.batch / place.batch);
}

Eigen::VectorXd Posterior::values(const MeanFunction& f) const {
  Eigen::VectorXd result(std::ssize(data_));
  for (Eigen::Index i = 0; i < result.size(); ++i)
    result[i] = value(f, f.share, place_of(data_[static_cast<std::size_t>(i)]));
  return result;
}

double Posterior::walk_variance(double k, const Place& from, const Place& to) const {
  const Constants& c = constants_;
  return k * k *
             (c.walk * c.walk * std::abs(std::log2(to.ranks / from.ranks)) +
              c.batch_walk * c.batch_walk * std::abs(std::log2(to.batch / from.batch))) +
         (leaves_host(from.ranks, to.ranks) ? c.host_walk * c.host_walk : 0);
}

double Posterior::repeat_variance() const {
  double squares = 0, freedom = 0;
  for (std::size_t i = 0; i < data_.size();) {
    std::size_t end = i;
    double mean = 0;
    while (end < data_.size() && data_[end].ranks == data_[i].ranks && data_[end].batch == data_[i].batch)
      mean += data_[end++].log_cost;
    mean /= static_cast<double>(end - i);
    freedom += static_cast<double>(end - i - 1);
    for (; i < end; ++i) squares += (data_[i].log_cost - mean) * (data_[i].log_cost - mean);
  }
  return freedom > 0 ? squares / freedom : 0;
}

double Posterior::noise_variance(double k) const {
  return std::max(k * k * constants_.noise * constants_.noise, repeat_variance_);
}

void Posterior::add_covariances() {
  const Constants& c = constants_;
  repeat_variance_ = repeat_variance();
  const auto n = std::ssize(data_);
  const double outlier = c.outlier_probability / (1 - c.outlier_probability),
               broken = c.break_probability / (1 - c.break_probability);
  const double all = 1 + static_cast<double>(n) * outlier + static_cast<double>(n - 1) * broken;
  for (Eigen::Index fault = 0; fault < 2 * n; ++fault) {  // none, n outliers, n - 1 breaks
    const Eigen::Index outlier_at = fault - 1, break_at = fault - 1 - n;
    const bool is_outlier = fault > 0 && outlier_at < n, is_break = break_at >= 0;
    for (const double k : kRoughness) {
      Covariance& v = covariances_.emplace_back();
      v.k = k;
      v.log_prior = std::log((is_outlier ? outlier : is_break ? broken : 1) / all / double{kRoughness.size()});
      v.walked = Eigen::VectorXd::Zero(n);
      v.noise = Eigen::VectorXd::Constant(n, noise_variance(k));
      if (is_outlier) v.noise[outlier_at] += c.outlier_sd * c.outlier_sd;
      for (Eigen::Index i = 1; i < n; ++i) {
        const auto now = static_cast<std::size_t>(i);
        v.walked[i] = v.walked[i - 1] + walk_variance(k, place_of(data_[now - 1]), place_of(data_[now]));
        if (is_break && break_at == i - 1) v.walked[i] += c.break_sd * c.break_sd;
      }
      Eigen::MatrixXd covariance(n, n);
      for (Eigen::Index i = 0; i < n; ++i)
        for (Eigen::Index j = 0; j < n; ++j)
          covariance(i, j) = kFlat + std::min(v.walked[i], v.walked[j]) + (i == j ? v.noise[i] : 0);
      v.factor.compute(covariance);
      v.log_determinant = 2 * v.factor.matrixLLT().diagonal().array().log().sum();
    }
  }
}

void Posterior::weigh() {
  Eigen::MatrixXd log_weight(std::ssize(covariances_), std::ssize(functions_));
  for (std::size_t v = 0; v < covariances_.size(); ++v) {
    const Covariance& c = covariances_[v];
    const Eigen::MatrixXd whitened = c.factor.matrixL().solve(residual_);
    for (Eigen::Index f = 0; f < log_weight.cols(); ++f)
      log_weight(static_cast<Eigen::Index>(v), f) = c.log_prior + functions_[static_cast<std::size_t>(f)].log_prior -
                                                    0.5 * (whitened.col(f).squaredNorm() + c.log_determinant);
  }
  const double highest = log_weight.maxCoeff();
  const Eigen::MatrixXd weight = (log_weight.array() - highest).exp().matrix();
  log_evidence_ = highest + std::log(weight.sum());
  for (Eigen::Index v = 0; v < weight.rows(); ++v)
    for (Eigen::Index f = 0; f < weight.cols(); ++f)
      if (weight(v, f) > kSmallest * kSmallest)
        components_.push_back({static_cast<std::size_t>(v), static_cast<std::size_t>(f), weight(v, f)});
  summarize(weight / weight.sum());
}

void Posterior::summarize(const Eigen::MatrixXd& weight) {
  const auto n = data_.size(), k = kRoughness.size();
  outliers_.assign(n, 0);
  breaks_.assign(n > 0 ? n - 1 : 0, 0);
  std::array<double, kRoughness.size()> rough{};
  const Eigen::VectorXd by_covariance = weight.rowwise().sum(), by_function = weight.colwise().sum();
  for (std::size_t v = 0; v < covariances_.size(); ++v) {
    const double p = by_covariance[static_cast<Eigen::Index>(v)];
    const std::size_t fault = v / k;
    rough[v % k] += p;
    if (fault > n)
      breaks_[fault - 1 - n] += p;
    else if (fault > 0)
      outliers_[fault - 1] += p;
  }
  double sum = 0;
  for (std::size_t i = 0; i < k && sum < 0.5; ++i) sum += rough[i], roughness_ = kRoughness[i];
  const auto shares = share_grid(constants_).share;
  share_probability_.assign(shares.size(), 0);
  for (std::size_t f = 0; f < functions_.size(); ++f) {
    const MeanFunction& m = functions_[f];
    const double p = by_function[static_cast<Eigen::Index>(f)];
    if (growths_.empty() || growths_.back().growth != m.growth) growths_.push_back({.growth = m.growth});
    growths_.back().prior += std::exp(m.log_prior);
    growths_.back().probability += p;
    growths_.back().slope += p * m.slope;
    if (m.growth == Growth::components) continue;
    share_probability_[static_cast<std::size_t>(std::find(shares.begin(), shares.end(), m.share) - shares.begin())] +=
        p;
  }
  for (auto& g : growths_)
    if (g.probability > 0) g.slope /= g.probability;
  double all = 0;
  for (const double p : share_probability_) all += p;
  for (double& p : share_probability_) p /= std::max(all, 1e-300);
  no_share_ = share_probability_.front();
}

double Posterior::share_quantile(double probability) const {
  const auto shares = share_grid(constants_).share;
  double sum = 0;
  for (std::size_t i = 0; i < shares.size(); ++i)
    if ((sum += share_probability_[i]) >= probability) return shares[i];
  return shares.back();
}

Posterior::Conditional Posterior::conditional(const Covariance& c, const Place& place) const {
  Conditional at;
  const Place last = place_of(data_.back());
  if (place.ranks >= last.ranks) {
    at.walked = c.walked[c.walked.size() - 1] + walk_variance(c.k, last, place);
    at.covariance = c.walked.array() + kFlat;
  } else {  // among the points: the walk's variance there by log N, and before the first a walk of its own
    const auto after = std::find_if(data_.begin(), data_.end(), [&](auto& o) { return o.ranks > place.ranks; });
    const auto right = after - data_.begin();
    if (right > 0) {
      const Observation &a = *(after - 1), &b = *after;
      const double part = std::log(place.ranks / a.ranks) / std::log(b.ranks / a.ranks);
      at.walked = c.walked[right - 1] + part * (c.walked[right] - c.walked[right - 1]);
    }
    at.covariance = c.walked.array().min(at.walked) + kFlat;
    at.before_first = right == 0;
    if (right == 0)
      at.walked += c.k * c.k * constants_.walk * constants_.walk * std::log2(data_.front().ranks / place.ranks);
  }
  at.gain = c.factor.solve(at.covariance);
  return at;
}

template <class F>
void Posterior::for_each_component(const Place& there, const Place& here, F&& f) const {
  const double batch = data_.back().batch;
  const auto differs = [&](const Place& p) { return std::max(p.batch / batch, batch / p.batch) > 1.0001; };
  const bool prior_shares = !with_share_ && (differs(there) || differs(here));
  const ShareGrid grid = prior_shares ? share_grid(constants_) : ShareGrid{{0}, {0}};
  const double most = *std::max_element(grid.log_prior.begin(), grid.log_prior.end());
  for (const Component& c : components_) {
    const MeanFunction& m = functions_[c.function];
    if (!prior_shares || m.growth == Growth::components) {
      if (c.weight > kSmallest) f(c, c.weight, m.share);
      continue;
    }
    for (std::size_t q = 0; q < grid.share.size(); ++q)
      if (c.weight * std::exp(grid.log_prior[q] - most) > kSmallest)
        f(c, c.weight * std::exp(grid.log_prior[q]), grid.share[q]);
  }
}

Mixture Posterior::forecast(const Place& place, bool of_one_measurement) const {
  const Constants& c = constants_;
  const double beyond = std::max(0.0, std::log2(place.ranks / data_.back().ranks));
  const double breaks = 1 - std::pow(1 - c.break_probability, beyond);
  const double outlier = of_one_measurement ? c.outlier_probability : 0;
  std::vector<Conditional> known(covariances_.size());
  Mixture mixture;
  for_each_component(place, place, [&](const Component& part, double weight, double share) {
    const Covariance& v = covariances_[part.covariance];
    Conditional& at = known[part.covariance];
    if (at.gain.size() == 0) at = conditional(v, place);
    const double noise = of_one_measurement ? noise_variance(v.k) : 0;
    const double mean = data_.back().log_cost + value(functions_[part.function], share, place) +
                        at.gain.dot(residual_.col(static_cast<Eigen::Index>(part.function)));
    const double variance = std::max(kFlat + at.walked - at.gain.dot(at.covariance), 0.0) + noise + kLeastVariance;
    mixture.add(weight * (1 - breaks) * (1 - outlier), mean, std::sqrt(variance));
    mixture.add(weight * breaks * (1 - outlier), mean + c.break_mean, std::sqrt(variance + c.break_sd * c.break_sd));
    mixture.add(weight * outlier, mean, std::sqrt(variance + c.outlier_sd * c.outlier_sd));
  });
  mixture.finish();
  return mixture;
}

Mixture Posterior::difference(const Place& there, const Place& here) const {
  const Constants& c = constants_;
  const double last = data_.back().ranks;
  const double beyond = std::abs(std::log2(std::max(there.ranks, last) / std::max(here.ranks, last)));
  const double breaks = 1 - std::pow(1 - c.break_probability, beyond);
  const double break_mean = there.ranks >= here.ranks ? c.break_mean : -c.break_mean;
  std::vector<std::pair<Conditional, Conditional>> known(covariances_.size());
  Mixture mixture;
  for_each_component(there, here, [&](const Component& part, double weight, double share) {
    const Covariance& v = covariances_[part.covariance];
    auto& [a, b] = known[part.covariance];
    if (a.gain.size() == 0) a = conditional(v, there), b = conditional(v, here);
    const MeanFunction& m = functions_[part.function];
    const auto residual = residual_.col(static_cast<Eigen::Index>(part.function));
    const double mean = value(m, share, there) - value(m, share, here) + (a.gain - b.gain).dot(residual);
    // Var(A - B) of the walk is what it does between them, less what the points tell
    const double shared = a.before_first == b.before_first ? std::min(a.walked, b.walked) : 0;
    const double between = a.walked + b.walked - 2 * shared;
    const Eigen::VectorXd covariance = a.covariance - b.covariance, gain = a.gain - b.gain;
    const double variance = std::max(between - gain.dot(covariance), 0.0) + kLeastVariance;
    mixture.add(weight * (1 - breaks), mean, std::sqrt(variance));
    mixture.add(weight * breaks, mean + break_mean, std::sqrt(variance + c.break_sd * c.break_sd));
  });
  mixture.finish();
  return mixture;
}

}  // namespace gpumonth::scaling
