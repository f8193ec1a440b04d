#include "scaling/fit/level_filter.h"

#include <cmath>
#include <numbers>

#include "base/normal.h"

namespace gpumonth::scaling {
namespace {

constexpr std::size_t kParts = kNoiseShare.size();

/// Normal densities of the residual under each part of the mixture, times the part's share.
double part_densities(double error, double level_variance, double sigma, std::array<double, kParts>& parts) {
  double sum = 0;
  for (std::size_t i = 0; i < kParts; ++i) {
    const double variance = level_variance + sigma * sigma * kNoiseScale[i] * kNoiseScale[i];
    parts[i] = kNoiseShare[i] * std::exp(-0.5 * error * error / variance) / std::sqrt(2 * std::numbers::pi * variance);
    sum += parts[i];
  }
  return sum;
}

}  // namespace

Level start_level(double residual, double sigma) {
  double variance = 0;
  for (std::size_t i = 0; i < kParts; ++i) variance += kNoiseShare[i] * kNoiseScale[i] * kNoiseScale[i];
  return {residual, variance * sigma * sigma};
}

double update(Level& level, double residual, double walk_variance, double sigma) {
  const double variance = level.variance + walk_variance;
  const double error = residual - level.mean;
  std::array<double, kParts> part;
  const double density = part_densities(error, variance, sigma, part);
  if (!(density > 1e-290)) {
    // Beyond what a double can hold: only the widest part of the mixture can explain it, and hardly.
    const double widest = variance + sigma * sigma * kNoiseScale.back() * kNoiseScale.back();
    level.variance = variance;
    return std::log(kNoiseShare.back()) - 0.5 * std::log(2 * std::numbers::pi * widest) - 0.5 * error * error / widest;
  }
  double shift = 0, within = 0, square = 0;
  for (std::size_t i = 0; i < kParts; ++i) {
    const double weight = part[i] / density;
    const double gain = variance / (variance + sigma * sigma * kNoiseScale[i] * kNoiseScale[i]);
    shift += weight * gain * error;
    square += weight * gain * error * gain * error;
    within += weight * variance * (1 - gain);
  }
  level.mean += shift;
  level.variance = within + std::max(0.0, square - shift * shift);
  return std::log(density);
}

double noise_cdf(double x, const Level& level, double walk_variance, double sigma) {
  double sum = 0;
  for (std::size_t i = 0; i < kParts; ++i) {
    const double sd = std::sqrt(level.variance + walk_variance + sigma * sigma * kNoiseScale[i] * kNoiseScale[i]);
    sum += kNoiseShare[i] * normal_cdf((x - level.mean) / sd);
  }
  return sum;
}

double noise_density(double x, const Level& level, double walk_variance, double sigma) {
  std::array<double, kParts> part;
  return part_densities(x - level.mean, level.variance + walk_variance, sigma, part);
}

}  // namespace gpumonth::scaling
