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

/// The middle between ground and shape, which covers 11 to 36 % of the plane.
float middle_level(const Pattern& pattern) {
  std::vector<double> values(pattern.values.begin(), pattern.values.end());
  const double ground = quantile_in_place(values, 0.2), shape = quantile_in_place(values, 0.95);
  return static_cast<float>((ground + shape) / 2);
}

/// First Fourier coefficients along x and y of what is above `level` in a frame: their phases are its centre.
struct Phases {
  std::complex<double> x, y;
};
Phases phases_of(const Pattern& pattern, std::int64_t frame, float level, std::int64_t& above) {
  const std::int64_t w = pattern.width;
  std::vector<std::complex<double>> turn;
  for (std::int64_t i = 0; i < w; ++i)
    turn.push_back(std::polar(1.0, 2 * std::numbers::pi * static_cast<double>(i) / static_cast<double>(w)));
  Phases phases;
  for (std::int64_t y = 0; y < w; ++y)
    for (std::int64_t x = 0; x < w; ++x) {
      const double weight = double{pattern.values[static_cast<std::size_t>((frame * w + y) * w + x)] - level};
      if (weight <= 0) continue;
      ++above;
      phases.x += weight * turn[static_cast<std::size_t>(x)];
      phases.y += weight * turn[static_cast<std::size_t>(y)];
    }
  return phases;
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
  const float level = middle_level(pattern);
  std::vector<std::complex<double>> xs, ys;
  std::int64_t above = 0;
  for (std::int64_t f = 0; f < pattern.frames; ++f) {
    const Phases phases = phases_of(pattern, f, level, above);
    xs.push_back(phases.x);
    ys.push_back(phases.y);
  }
  const Course x = course_of(xs, pattern.width), y = course_of(ys, pattern.width);
  return {x.at, y.at, x.velocity, y.velocity, static_cast<double>(above) / static_cast<double>(pattern.frames)};
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
  constexpr int kHalvings = 6;
  const auto width = static_cast<float>(pattern.width);
  std::vector<float> drawing;
  const auto try_scene = [&](Scene s) {
    s.radius = clamped(double{s.radius}, kLeastRadius, kMostRadius, pattern.width);
    s.speed = clamped(double{s.speed}, 0, kMostSpeed, pattern.width);
    const double found = correlation(pattern, s, drawing);
    if (found > fit.correlation) fit = {s, found};
  };
  float step = width / 16;
  for (int halving = 0; halving < kHalvings; ++halving, step /= 2)
    for (const float sign : {1.0f, -1.0f}) {
      Scene s = fit.scene;
      s.x += sign * step;
      try_scene(s);
      s = fit.scene;
      s.y += sign * step;
      try_scene(s);
      s = fit.scene;
      s.radius += sign * step / 2;
      try_scene(s);
      if (pattern.frames == 1) continue;
      s = fit.scene;
      s.speed += sign * step / 2;
      try_scene(s);
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
