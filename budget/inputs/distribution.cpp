#include "budget/inputs/distribution.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "base/normal.h"

namespace gpumonth::budget {
namespace {

/// To the scale on which the distribution is normal (or uniform), and back.
double to_scale(DistributionShape shape, double x) {
  if (shape == DistributionShape::lognormal || shape == DistributionShape::log_uniform) return std::log(x);
  return shape == DistributionShape::logit_normal ? std::log(x / (1 - x)) : x;
}
double from_scale(DistributionShape shape, double y) {
  if (shape == DistributionShape::lognormal || shape == DistributionShape::log_uniform) return std::exp(y);
  return shape == DistributionShape::logit_normal ? 1 / (1 + std::exp(-y)) : y;
}

bool is_uniform(DistributionShape shape) {
  return shape == DistributionShape::uniform || shape == DistributionShape::log_uniform;
}

}  // namespace

const std::vector<std::string>& shape_names() {
  static const std::vector<std::string> names = {"lognormal", "logit-normal", "normal", "uniform", "log-uniform"};
  return names;
}

const char* name(DistributionShape shape) {
  return shape == DistributionShape::fixed ? "fixed" : shape_names()[static_cast<std::size_t>(shape) - 1].c_str();
}

DistributionShape parse_shape(const std::string& word) {
  const auto& names = shape_names();
  const auto found = std::find(names.begin(), names.end(), word);
  if (found == names.end()) throw std::invalid_argument("not a distribution: " + word);
  return static_cast<DistributionShape>(found - names.begin() + 1);
}

double Distribution::quantile(double u) const {
  if (shape == DistributionShape::fixed) return median;
  const double a = to_scale(shape, low), b = to_scale(shape, high);
  double y = a + u * (b - a);
  if (!is_uniform(shape)) {
    const double z = normal_quantile(u), m = to_scale(shape, median);
    y = m + (z < 0 ? m - a : b - m) * z / kZ95;
  }
  return std::clamp(from_scale(shape, y), min, max);
}

Distribution distribution_of(double low, double high, double min, double max) {
  Distribution d{DistributionShape::lognormal, low, low, high, min, max};
  if (low == high)
    d.shape = DistributionShape::fixed;
  else if (max <= 1)
    d.shape = low > 0 && high < 1 ? DistributionShape::logit_normal : DistributionShape::uniform;
  else if (!(low > 0))
    d.shape = DistributionShape::uniform;
  if (d.shape != DistributionShape::fixed)
    d.median = from_scale(d.shape, 0.5 * (to_scale(d.shape, low) + to_scale(d.shape, high)));
  return d;
}

Distribution distribution_of(double low, double median, double high, double min, double max, const std::string& shape) {
  Distribution d = distribution_of(low, high, min, max);
  if (d.shape == DistributionShape::fixed) return d;
  if (!shape.empty()) d.shape = parse_shape(shape);
  const bool logarithmic = d.shape == DistributionShape::lognormal || d.shape == DistributionShape::log_uniform;
  if (logarithmic && !(low > 0))
    throw std::invalid_argument(fmt::format("a {} distribution needs low above 0", name(d.shape)));
  if (d.shape == DistributionShape::logit_normal && !(low > 0 && high < 1))
    throw std::invalid_argument("a logit-normal distribution needs low and high between 0 and 1, both left out");
  d.median = from_scale(d.shape, 0.5 * (to_scale(d.shape, low) + to_scale(d.shape, high)));
  if (std::isnan(median)) return d;
  if (is_uniform(d.shape)) throw std::invalid_argument(fmt::format("a {} distribution takes no median", name(d.shape)));
  if (!(low < median && median < high))
    throw std::invalid_argument(fmt::format("median = {:g} must lie between low and high", median));
  d.median = median;
  return d;
}

}  // namespace gpumonth::budget
