// The posterior against sums over its grid done here in another way, and the mixture against its own definition.
#include "scaling/fit/posterior.h"

#include <cmath>
#include <numeric>

#include "base/normal.h"
#include "tests/catch.h"

using namespace gpumonth;
using namespace gpumonth::scaling;

TEST_CASE("a mixture's quantiles invert its distribution function", "[posterior]") {
  Mixture m;
  m.add(3, 0, 1);
  m.add(1, 5, 0.1);
  m.add(1e-9, 100, 1);  // weighs nothing
  m.finish();
  CHECK(m.cdf(0) == Approx(0.375));
  CHECK(m.quantile(0.375) == Approx(0).margin(1e-9));
  for (const double p : {0.01, 0.05, 0.5, 0.8, 0.99}) CHECK(m.cdf(m.quantile(p)) == Approx(p).epsilon(1e-9));
  const auto q = m.quantiles(999);
  for (const std::size_t i : {49u, 499u, 949u})
    CHECK(m.cdf(q[i]) == Approx((static_cast<double>(i) + 0.5) / 999).margin(2e-4));
  CHECK(std::exp(m.log_density(5)) ==
        Approx(0.25 / 0.1 / std::sqrt(2 * M_PI) + 0.75 * std::exp(-12.5) / std::sqrt(2 * M_PI)));
}

TEST_CASE("priors are probabilities", "[posterior]") {
  for (const bool share : {false, true})
    for (const bool parts : {false, true}) {
      double sum = 0;
      for (const auto& f : mean_functions({}, share, parts)) sum += std::exp(f.log_prior);
      CHECK(sum == Approx(1));
    }
}

TEST_CASE("growth has the stated slope at the last point", "[posterior]") {
  for (const Growth kind : kGrowths)
    for (const double slope : {0.004, 0.064}) {
      CHECK(growth(kind, slope, 1) == Approx(0).margin(1e-15));
      const double h = 1e-5, doubling = std::exp2(h);
      CHECK((growth(kind, slope, doubling) - growth(kind, slope, 1 / doubling)) / (2 * h) ==
            Approx(slope).epsilon(1e-6));
    }
  // Amdahl: 1 - p + p r is the slowdown of a serial share
  CHECK(growth(Growth::linear, 0.1 * M_LN2, 4) == Approx(std::log(0.9 + 0.1 * 4)));
  CHECK(batch_term(0.25, 4) == Approx(std::log(0.75 + 0.25 * 4)));
}

namespace {

/// Log density of values under a normal with this covariance, by the chain rule: each given those before it.
double chain_rule(std::vector<std::vector<double>> covariance, std::vector<double> residual) {
  double sum = 0;
  for (std::size_t i = 0; i < residual.size(); ++i) {
    const double variance = covariance[i][i];
    sum += -0.5 * (residual[i] * residual[i] / variance + std::log(variance));
    for (std::size_t j = i + 1; j < residual.size(); ++j) {  // eliminate i
      const double gain = covariance[j][i] / variance;
      residual[j] -= gain * residual[i];
      for (std::size_t k = i + 1; k < residual.size(); ++k) covariance[j][k] -= gain * covariance[i][k];
    }
  }
  return sum;
}

}  // namespace

TEST_CASE("the evidence is the sum over faults, roughness and functions", "[posterior]") {
  const std::vector<Observation> data{{4, 8, -4.0}, {8, 8, -3.98}, {32, 4, -3.90}};
  const Constants c;
  const Posterior posterior(data, c, nullptr);
  const std::size_t n = data.size();
  const double outlier = c.outlier_probability / (1 - c.outlier_probability),
               broken = c.break_probability / (1 - c.break_probability), all = 1 + 3 * outlier + 2 * broken;
  double sum = 0;
  for (const auto& f : mean_functions(c, true, false))
    for (const double k : {0.25, 0.5, 1.0, 2.0, 4.0})
      for (std::size_t fault = 0; fault < 2 * n; ++fault) {
        std::vector<double> walked(n, 0), residual(n);
        for (std::size_t i = 1; i < n; ++i) {
          walked[i] = walked[i - 1] + k * k * c.walk * c.walk * std::log2(data[i].ranks / data[i - 1].ranks) +
                      k * k * c.batch_walk * c.batch_walk * std::abs(std::log2(data[i].batch / data[i - 1].batch));
          if (i == 2) walked[i] += c.host_walk * c.host_walk;  // from 8 ranks to 32
          if (fault == n + i) walked[i] += c.break_sd * c.break_sd;
        }
        std::vector<std::vector<double>> covariance(n, std::vector<double>(n));
        for (std::size_t i = 0; i < n; ++i) {
          for (std::size_t j = 0; j < n; ++j) covariance[i][j] = 9 + std::min(walked[i], walked[j]);
          covariance[i][i] += k * k * c.noise * c.noise + (fault == i + 1 ? c.outlier_sd * c.outlier_sd : 0);
          residual[i] = data[i].log_cost - data[2].log_cost - growth(f.growth, f.slope, data[i].ranks / 32) -
                        batch_term(f.share, 4 / data[i].batch);
        }
        const double prior = (fault == 0 ? 1 : fault <= n ? outlier : broken) / all / 5;
        sum += std::exp(f.log_prior + std::log(prior) + chain_rule(covariance, residual));
      }
  CHECK(posterior.log_evidence() == Approx(std::log(sum)).epsilon(1e-9));
  double grown = 0;
  for (const auto& g : posterior.growths()) grown += g.probability;
  CHECK(grown == Approx(1));
}

TEST_CASE("measured parts enter as functions of their own", "[posterior]") {
  const StepModel parts = [](double ranks, double batch) {
    return StepForecast{0.01 * batch + 0.002 * std::log2(ranks), 0.01};
  };
  std::vector<Observation> data;
  for (const double ranks : {1.0, 2.0, 4.0, 8.0})
    for (const double batch : {8.0, 2.0}) data.push_back({ranks, batch, std::log(parts(ranks, batch).step_s / batch)});
  const Posterior posterior(data, {}, &parts);
  CHECK(posterior.growths().back().growth == Growth::components);
  CHECK(posterior.growths().back().prior == Approx(0.5));
  CHECK(posterior.growths().back().probability > 0.6);
  const double truth = std::log(parts(16, 2).step_s / 2);
  CHECK(posterior.forecast({16, 2}, true).quantile(0.5) == Approx(truth).epsilon(0.005));
}
