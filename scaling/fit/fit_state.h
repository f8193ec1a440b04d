// The posterior of a fit, and how it is made. Only fit.cpp includes this.
#pragma once

#include <algorithm>
#include <cmath>

#include "base/quantile.h"
#include "scaling/fit/fit.h"
#include "scaling/fit/importance.h"
#include "scaling/fit/level_filter.h"
#include "scaling/fit/observations.h"

namespace gpumonth::scaling {

constexpr int kParticles = 3000;  // equally weighted, over all shapes

struct Particle {
  std::size_t shape = 0;
  ShapeParameters p{};
  double sigma = 0, tau = 0;
  Level last;  // after all observations
};

struct PriorWeight {
  Growth growth;
  double weight;
};
// log N first: trees and hierarchical all-reduces grow like it, and so do the published efficiencies that the
// prior of the growth comes from.
inline constexpr PriorWeight kShapes[] = {{Growth::none, 0.1},    {Growth::log2_ranks, 0.3}, {Growth::straggler, 0.15},
                                          {Growth::linear, 0.15}, {Growth::amdahl, 0.15},    {Growth::usl, 0.15}};
// Measured parts say more than a shape: they weigh as much as all shapes together before the first point.
constexpr double kComponentsWeight = 0.5;

inline double clamp_u(double u) { return std::clamp(u, -8.0, 8.0); }

struct Fit::State {
  ScalingCurve curve;
  std::vector<ScalingGroup> groups;  // of the curve
  FitOptions options;
  std::vector<Observation> data;
  std::vector<CurveShape> shapes;
  std::vector<ShapeWeight> weights;
  std::vector<Particle> particles;
  std::vector<std::string> notes;
  bool batch_known = false;
  double fixed_global_batch = 0;  // 0: not fixed
  double noise = 0, discrepancy = 0;

  Particle particle(std::size_t shape, const double* u) const {
    const Priors& priors = options.priors;
    const int d = shapes[shape].dimension();
    Particle result;
    result.shape = shape;
    std::array<double, kMaxShapeParameters> bounded{};
    for (int i = 0; i < d; ++i) bounded[static_cast<std::size_t>(i)] = clamp_u(u[i]);
    result.p = shapes[shape].parameters(bounded.data(), priors);
    result.sigma = priors.noise * std::exp(priors.noise_log_sd * clamp_u(u[d]));
    result.tau = half_t2(clamp_u(u[d + 1]), priors.discrepancy);
    return result;
  }

  double walk(const Observation& a, double ranks, double batch, double tau) const {
    return tau * tau * walk_distance(a.ranks, a.batch, ranks, batch, options.priors);
  }

  /// Sum of the log densities of observations[i + 1] given [0 .. i]; leaves the level after the last in
  /// `level`. `first` to `last` may run backwards.
  double filter(const Particle& q, std::ptrdiff_t first, std::ptrdiff_t last, Level& level) const {
    const CurveShape& shape = shapes[q.shape];
    const auto residual = [&](std::ptrdiff_t i) {
      const Observation& o = data[static_cast<std::size_t>(i)];
      return o.log_cost - shape.log_value(q.p, o.ranks, o.batch);
    };
    level = start_level(residual(first), q.sigma);
    double log_likelihood = 0;
    const std::ptrdiff_t step = last >= first ? 1 : -1;
    for (std::ptrdiff_t i = first; i != last;) {
      const Observation& before = data[static_cast<std::size_t>(i)];
      i += step;
      const Observation& now = data[static_cast<std::size_t>(i)];
      log_likelihood += update(level, residual(i), walk(before, now.ranks, now.batch, q.tau), q.sigma);
    }
    return log_likelihood;
  }

  void fit_shape(std::size_t index, double prior, std::vector<WeightedDraws>& all) {
    const auto log_likelihood = [&](const double* u) {
      Level level;
      return filter(particle(index, u), 0, std::ssize(data) - 1, level);
    };
    all.push_back(importance_sample(shapes[index].dimension() + 2, log_likelihood, options.draws_per_shape,
                                    options.seed + index));
    weights.push_back({shapes[index].growth, prior, all.back().log_evidence, all.back().effective_draws, {}});
  }

  void fit_all() {
    std::vector<WeightedDraws> all;
    const bool with_components = options.components != nullptr;
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      const bool is_components = shapes[i].growth == Growth::components;
      const double share =
          is_components ? kComponentsWeight : kShapes[i].weight * (with_components ? 1 - kComponentsWeight : 1);
      fit_shape(i, share, all);
    }
    double high = -INFINITY, sum = 0;
    for (const auto& w : weights) high = std::max(high, w.weight);
    for (auto& w : weights) sum += w.weight = w.prior * std::exp(w.weight - high);
    for (auto& w : weights) w.weight /= sum;
    resample(all);
  }

  /// kParticles particles of equal weight by systematic resampling.
  void resample(const std::vector<WeightedDraws>& all) {
    double sum = 0, next = 0.5 / kParticles;
    for (std::size_t s = 0; s < all.size(); ++s) {
      for (Eigen::Index i = 0; i < all[s].weight.size(); ++i) {
        sum += weights[s].weight * all[s].weight[i];
        if (sum <= next) continue;
        Particle chosen = particle(s, all[s].u.col(i).data());
        filter(chosen, 0, std::ssize(data) - 1, chosen.last);
        for (; sum > next; next += 1.0 / kParticles) particles.push_back(chosen);
      }
      summarize(s, all[s]);
    }
    std::vector<double> sigmas, taus;
    for (const auto& q : particles) {
      sigmas.push_back(q.sigma);
      taus.push_back(q.tau);
    }
    noise = quantile(sigmas, 0.5);
    discrepancy = quantile(taus, 0.5);
  }

  void summarize(std::size_t s, const WeightedDraws& draws) {
    std::vector<std::pair<double, double>> values(static_cast<std::size_t>(draws.weight.size()));
    for (std::size_t k = 0; k < kMaxShapeParameters; ++k) {
      for (std::size_t i = 0; i < values.size(); ++i) {
        const auto column = static_cast<Eigen::Index>(i);
        values[i] = {particle(s, draws.u.col(column).data()).p[k], draws.weight[column]};
      }
      std::sort(values.begin(), values.end());
      double sum = 0;
      for (const auto& [value, weight] : values) {
        weights[s].median[k] = value;
        if ((sum += weight) >= 0.5) break;
      }
    }
  }

  /// The level of a particle at a place, before any measurement there.
  Level level_at(const Particle& q, double ranks, double batch) const {
    const auto after = [&](const Observation& o) { return o.ranks > ranks || (o.ranks == ranks && o.batch < batch); };
    const auto place = std::find_if(data.begin(), data.end(), after) - data.begin();
    Level left{}, right{};
    if (place > 0) {
      if (place == std::ssize(data))
        left = q.last;
      else
        filter(q, 0, place - 1, left);
      left.variance += walk(data[static_cast<std::size_t>(place - 1)], ranks, batch, q.tau);
      if (place == std::ssize(data)) return left;
    }
    filter(q, std::ssize(data) - 1, place, right);
    right.variance += walk(data[static_cast<std::size_t>(place)], ranks, batch, q.tau);
    if (place == 0) return right;
    const double precision = 1 / left.variance + 1 / right.variance;
    return {(left.mean / left.variance + right.mean / right.variance) / precision, 1 / precision};
  }

  double batch_or_default(double ranks, double batch) const {
    if (!batch_known) return 1;
    if (!std::isnan(batch)) return batch;
    return fixed_global_batch > 0 ? fixed_global_batch / ranks : data.back().batch;
  }
};

}  // namespace gpumonth::scaling
