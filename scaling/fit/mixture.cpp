#include "scaling/fit/mixture.h"

#include <algorithm>
#include <boost/math/tools/toms748_solve.hpp>
#include <cmath>
#include <limits>
#include <numbers>
#include <stdexcept>

#include "base/normal.h"

namespace gpumonth::scaling {
namespace {

constexpr double kLeastPart = 1e-7;  // weight of a part, of the heaviest
constexpr double kReach = 7;         // standard deviations

}  // namespace

void Mixture::finish() {
  double heaviest = 0, sum = 0;
  for (const Part& p : parts_) heaviest = std::max(heaviest, p.weight);
  std::erase_if(parts_, [&](const Part& p) { return !(p.weight > kLeastPart * heaviest); });
  if (parts_.empty()) throw std::logic_error("a mixture of nothing");
  low_ = std::numeric_limits<double>::infinity();
  high_ = -low_;
  for (const Part& p : parts_) {
    sum += p.weight;
    low_ = std::min(low_, p.mean - kReach * p.sd);
    high_ = std::max(high_, p.mean + kReach * p.sd);
  }
  for (Part& p : parts_) p.weight /= sum;
}

double Mixture::cdf(double x) const {
  double sum = 0;
  for (const Part& p : parts_) sum += p.weight * normal_cdf((x - p.mean) / p.sd);
  return sum;
}

double Mixture::log_density(double x) const {
  double sum = 0;
  for (const Part& p : parts_) {
    const double z = (x - p.mean) / p.sd;
    sum += p.weight / p.sd * std::exp(-0.5 * z * z);
  }
  return std::log(std::max(sum / std::sqrt(2 * std::numbers::pi), 1e-300));
}

double Mixture::quantile(double probability) const {
  const auto over = [&](double x) { return cdf(x) - probability; };
  const double at_low = over(low_), at_high = over(high_);
  if (at_low >= 0) return low_;
  if (at_high <= 0) return high_;
  std::uintmax_t tries = 100;
  const auto close = [](double a, double b) { return std::abs(a - b) <= 1e-13 * std::max(1.0, std::abs(a)); };
  const auto [a, b] = boost::math::tools::toms748_solve(over, low_, high_, at_low, at_high, close, tries);
  return 0.5 * (a + b);
}

std::vector<double> Mixture::quantiles(std::size_t count) const {
  constexpr std::size_t kGrid = 1024;
  const double from = quantile(0.25 / static_cast<double>(count)), to = quantile(1 - 0.25 / static_cast<double>(count));
  std::vector<double> x, p, result;
  for (std::size_t i = 0; i <= kGrid; ++i) {
    x.push_back(from + (to - from) * static_cast<double>(i) / kGrid);
    p.push_back(cdf(x.back()));
  }
  std::size_t cell = 1;
  for (std::size_t i = 0; i < count; ++i) {
    const double wanted = (static_cast<double>(i) + 0.5) / static_cast<double>(count);
    while (cell < kGrid && p[cell] < wanted) ++cell;
    const double width = p[cell] - p[cell - 1];
    const double part = width > 0 ? std::clamp((wanted - p[cell - 1]) / width, 0.0, 1.0) : 0.5;
    result.push_back(x[cell - 1] + part * (x[cell] - x[cell - 1]));
  }
  return result;
}

}  // namespace gpumonth::scaling
