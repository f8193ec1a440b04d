#include "trainer/quality/pattern_fit.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <complex>
#include <numbers>

#include "base/quantile.h"

namespace gpumonth::trainer {
namespace {

constexpr double kLeastRadius = 0.12, kMostRadius = 0.45;  // shares of the width; the set has 0.22 to 0.34
constexpr double kMostSpeed = 0.12;                        // the same, per frame; the set has 0.02 to 0.06

/// In units of the squared radius: disc, square of half edge 0.85, ring from 0.45 to 1.05, bar of 2.4 x 1.
constexpr std::array<double, kShapes> kAreas = {std::numbers::pi, 2.89, 0.9 * std::numbers::pi, 2.4};

/// Mean and scale to mean 0, variance 1; a flat pattern becomes zero.
void bring_to_unit_variance(std::vector<float>& values) {
  double sum = 0, squares = 0;
  for (const float v : values) sum += double{v}, squares += double{v} * double{v};
  const double n = static_cast<double>(values.size()), mean = sum / n, variance = squares / n - mean * mean;
  const double scale = variance > 1e-12 ? 1 / std::sqrt(variance) : 0;
  for (float& v : values) v = static_cast<float>((double{v} - mean) * scale);
}

double correlation(const Pattern& pattern, const Scene& scene, std::vector<float>& drawing) {
  drawing.resize(pattern.values.size());
  draw_pattern(scene, pattern.frames, pattern.width, drawing.data());
  double product = 0, sum = 0, squares = 0;
#pragma omp simd reduction(+ : product, sum, squares)
  for (std::size_t i = 0; i < drawing.size(); ++i) {
    const double d = double{drawing[i]};
    product += d * double{pattern.values[i]};
    sum += d;
    squares += d * d;
  }
  const double n = static_cast<double>(drawing.size()), variance = squares / n - sum / n * (sum / n);
  return variance > 1e-12 ? product / n / std::sqrt(variance) : 0;
}

/// Ground and shape, which covers 11 to 36 % of the plane.
struct GroundAndShape {
  double ground, shape;
  /// 0 on the ground, 1 on the shape, whose brightness must not pull its centre ahead; in between at its edge.
  double mask(float value) const {
    const double height = (double{value} - ground) / std::max(shape - ground, 1e-9);
    return std::clamp(2 * height - 0.5, 0.0, 1.0);
  }
};
GroundAndShape levels_of(const Pattern& pattern) {
  std::vector<double> values(pattern.values.begin(), pattern.values.end());
  return {quantile_in_place(values, 0.3), quantile_in_place(values, 0.92)};
}

/// Of a frame's mask: its area, and its first Fourier coefficients along x and y, whose phases are its centre.
struct MaskSums {
  double area = 0;
  std::complex<double> x, y;
};
MaskSums mask_sums(const Pattern& pattern, std::int64_t frame, const GroundAndShape& levels) {
  const std::int64_t w = pattern.width;
  std::vector<std::complex<double>> turn;
  for (std::int64_t i = 0; i < w; ++i)
    turn.push_back(std::polar(1.0, 2 * std::numbers::pi * static_cast<double>(i) / static_cast<double>(w)));
  MaskSums sums;
  for (std::int64_t y = 0; y < w; ++y)
    for (std::int64_t x = 0; x < w; ++x) {
      const double mask = levels.mask(pattern.values[static_cast<std::size_t>((frame * w + y) * w + x)]);
      sums.area += mask;
      sums.x += mask * turn[static_cast<std::size_t>(x)];
      sums.y += mask * turn[static_cast<std::size_t>(y)];
    }
  return sums;
}

double phase_pixels(std::complex<double> z, std::int64_t width) {
  return std::arg(z) / (2 * std::numbers::pi) * static_cast<double>(width);
}

/// Motion that all pairs of frames agree on, and the place in frame 0 that follows from all frames.
struct Course {
  double at, velocity;
};
Course course_of(const std::vector<std::complex<double>>& coefficients, std::int64_t width) {
  std::complex<double> pairs, sum;
  for (std::size_t f = 1; f < coefficients.size(); ++f) pairs += std::conj(coefficients[f - 1]) * coefficients[f];
  const double turn = coefficients.size() > 1 ? std::arg(pairs) : 0;
  for (std::size_t f = 0; f < coefficients.size(); ++f)
    sum += coefficients[f] * std::polar(1.0, -turn * static_cast<double>(f));
  return {phase_pixels(sum, width), turn / (2 * std::numbers::pi) * static_cast<double>(width)};
}

float clamped(double value, double low, double high, std::int64_t width) {
  return static_cast<float>(std::clamp(value, low * static_cast<double>(width), high * static_cast<double>(width)));
}

}  // namespace

FirstSight look_at(const Pattern& pattern) {
  const GroundAndShape levels = levels_of(pattern);
  std::vector<std::complex<double>> xs, ys;
  double area = 0;
  for (std::int64_t f = 0; f < pattern.frames; ++f) {
    const MaskSums sums = mask_sums(pattern, f, levels);
    xs.push_back(sums.x);
    ys.push_back(sums.y);
    area += sums.area / static_cast<double>(pattern.frames);
  }
  const Course x = course_of(xs, pattern.width), y = course_of(ys, pattern.width);
  return {x.at, y.at, x.velocity, y.velocity, area};
}

FittedScene start_of(const Pattern& pattern, const FirstSight& sight, int shape, int direction) {
  FittedScene fit;
  Scene& s = fit.scene;
  s.label = shape + kShapes * direction;
  set_heading(s);
  s.x = static_cast<float>(sight.x);
  s.y = static_cast<float>(sight.y);
  s.radius = clamped(std::sqrt(sight.area / kAreas[static_cast<std::size_t>(shape)]), kLeastRadius, kMostRadius,
                     pattern.width);
  if (pattern.frames > 1)
    s.speed = clamped(sight.vx * double{s.heading_x} + sight.vy * double{s.heading_y}, 0, kMostSpeed, pattern.width);
  std::vector<float> drawing;
  fit.correlation = correlation(pattern, s, drawing);
  return fit;
}

FittedScene refined(const Pattern& pattern, FittedScene fit) {
  constexpr int kHalvings = 5, kMostSweeps = 4;
  std::vector<float> drawing;
  const auto try_change = [&](float Scene::*member, float change) {
    Scene s = fit.scene;
    s.*member += change;
    s.radius = clamped(double{s.radius}, kLeastRadius, kMostRadius, pattern.width);
    s.speed = clamped(double{s.speed}, 0, kMostSpeed, pattern.width);
    const double found = correlation(pattern, s, drawing);
    if (found > fit.correlation) fit = {s, found};
  };
  float step = static_cast<float>(pattern.width) / 16;
  for (int halving = 0; halving < kHalvings; ++halving, step /= 2)
    for (int sweep = 0; sweep < kMostSweeps; ++sweep) {
      const double before = fit.correlation;
      for (const float change : {step, -step}) {
        try_change(&Scene::x, change);
        try_change(&Scene::y, change);
        try_change(&Scene::radius, change / 2);
        if (pattern.frames > 1) try_change(&Scene::speed, change / 4);
      }
      if (fit.correlation == before) break;
    }
  return fit;
}

Pattern drawn(const Scene& scene, std::int64_t frames, std::int64_t width) {
  Pattern pattern{std::vector<float>(static_cast<std::size_t>(frames * width * width)), frames, width};
  draw_pattern(scene, frames, width, pattern.values.data());
  bring_to_unit_variance(pattern.values);
  return pattern;
}

}  // namespace gpumonth::trainer
