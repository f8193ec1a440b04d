#include "budget/fit/fit.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "budget/fit/importance.h"
#include "budget/fit/level_filter.h"
#include "budget/fit/observations.h"
#include "budget/statistics.h"

namespace gpumonth::budget {
namespace {

constexpr int kParticles = 3000;        // equally weighted, over all shapes
constexpr double kDisagreement = 0.2;   // repeats further apart than this are named

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
// log N first: trees and hierarchical all-reduces grow like it, and so do the published efficiencies that the prior of
// the growth comes from.
constexpr PriorWeight kShapes[] = {{Growth::none, 0.15},   {Growth::log2_ranks, 0.35}, {Growth::straggler, 0.2},
                                   {Growth::linear, 0.1}, {Growth::amdahl, 0.1},      {Growth::usl, 0.1}};
// Measured parts say more than a shape: they weigh as much as all shapes together before the first point.
constexpr double kComponentsWeight = 0.5;

double clamp_u(double u) { return std::clamp(u, -8.0, 8.0); }

}  // namespace

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
    return tau * tau * walk_distance(a.ranks, a.batch, ranks, batch, options.priors.batch_discrepancy);
  }

  /// Sum of the log densities of observations[i + 1] given [0 .. i]; leaves the level after the last in `level`.
  /// `first` to `last` may run backwards.
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
      const double share = is_components ? kComponentsWeight : kShapes[i].weight * (with_components ? 1 - kComponentsWeight : 1);
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
      if (place == std::ssize(data)) left = q.last;
      else filter(q, 0, place - 1, left);
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

namespace {

/// Where `probability` of a mixture of distribution functions lies.
template <class Cdf>
double mixture_quantile(double probability, double low, double high, const Cdf& cdf) {
  for (int i = 0; i < 40; ++i) {
    const double middle = 0.5 * (low + high);
    (cdf(middle) < probability ? low : high) = middle;
  }
  return 0.5 * (low + high);
}

double normal_cdf(double x, double mean, double sd) { return 0.5 * std::erfc((mean - x) / (sd * std::sqrt(2.0))); }

void find_fixed_batch(const std::vector<Observation>& data, double& fixed) {
  const double first = data.front().ranks * data.front().batch;
  if (data.front().ranks == data.back().ranks) return;
  for (const auto& o : data)
    if (std::abs(o.ranks * o.batch / first - 1) > 1e-3) return;
  fixed = first;
}

void add_notes(const ScalingCurve& curve, const std::vector<ScalingGroup>& all, std::vector<std::string>& notes) {
  notes.insert(notes.end(), curve.notes.begin(), curve.notes.end());
  if (all.front().ranks == all.back().ranks)
    notes.push_back(fmt::format("one rank count only ({}): how throughput grows beyond it is the priors' word",
                                all.front().ranks));
  std::size_t named = 0;
  for (const auto& g : all)
    if (g.spread > kDisagreement && ++named <= 3)
      notes.push_back(fmt::format("the {} repeats at {} ranks differ by {:.0f} %: the interval is wide because of it",
                                  g.repeats, g.ranks, 100 * g.spread));
}

}  // namespace

Fit fit_curve(const ScalingCurve& curve, const FitOptions& options) {
  check(curve);
  auto state = std::make_shared<Fit::State>();
  state->curve = curve;
  sort(state->curve);
  state->options = options;
  state->groups = groups(state->curve);
  add_notes(state->curve, state->groups, state->notes);
  state->data = observations(state->curve, state->notes);
  state->batch_known = has_batch(curve);
  CurveShape shape;
  for (const auto& o : state->data) {
    shape.ranks_max = std::max(shape.ranks_max, o.ranks);
    shape.batch_max = std::max(shape.batch_max, o.batch);
    shape.batch_varies = shape.batch_varies || o.batch != state->data.front().batch;
  }
  if (state->batch_known) find_fixed_batch(state->data, state->fixed_global_batch);
  for (const auto& s : kShapes) {
    shape.growth = s.growth;
    state->shapes.push_back(shape);
  }
  if (options.components && state->batch_known) {
    shape.growth = Growth::components;
    shape.step_model = state->options.components.get();
    state->shapes.push_back(shape);
  } else {
    state->options.components = nullptr;
  }
  state->fit_all();
  Fit fit;
  fit.state_ = state;
  return fit;
}

Prediction Fit::predict(std::int64_t ranks, double batch_per_rank) const {
  const State& s = *state_;
  const auto n = static_cast<double>(ranks);
  const double batch = s.batch_or_default(n, batch_per_rank);
  struct Part {
    Level level;
    double sigma;
  };
  std::vector<Part> parts;
  double low = INFINITY, high = -INFINITY;
  for (const auto& q : s.particles) {
    Level level = s.level_at(q, n, batch);
    level.mean = std::log(n) - level.mean - s.shapes[q.shape].log_value(q.p, n, batch);  // log throughput
    const double reach = 40 * (std::sqrt(level.variance) + q.sigma);
    low = std::min(low, level.mean - reach);
    high = std::max(high, level.mean + reach);
    parts.push_back({level, q.sigma});
  }
  const auto with_noise = [&](double x) {
    double sum = 0;
    for (const auto& p : parts) sum += noise_cdf(x, p.level, 0, p.sigma);
    return sum / static_cast<double>(parts.size());
  };
  const auto of_mean = [&](double x) {
    double sum = 0;
    for (const auto& p : parts) sum += normal_cdf(x, p.level.mean, std::sqrt(p.level.variance) + 1e-12);
    return sum / static_cast<double>(parts.size());
  };
  const auto at = [&](double probability, const auto& cdf) {
    return std::exp(mixture_quantile(probability, low, high, cdf));
  };
  Prediction result;
  result.ranks = ranks;
  result.batch_per_rank = s.batch_known ? batch : kUnknownBatch;
  result.samples_per_s = at(0.5, with_noise);
  result.low = at(0.05, with_noise);
  result.high = at(0.95, with_noise);
  result.mean_low = at(0.05, of_mean);
  result.mean_high = at(0.95, of_mean);
  result.efficiency = efficiency(ranks, result.samples_per_s);
  return result;
}

std::vector<double> Fit::draws(std::int64_t ranks, double batch_per_rank, std::size_t count,
                               std::uint64_t seed) const {
  const State& s = *state_;
  const auto n = static_cast<double>(ranks);
  const double batch = s.batch_or_default(n, batch_per_rank);
  NormalDraws random(seed);
  std::vector<double> result(count);
  for (auto& value : result) {
    const auto& q = s.particles[static_cast<std::size_t>(random.uniform() * static_cast<double>(s.particles.size()))];
    const Level level = s.level_at(q, n, batch);
    const double log_cost = level.mean + std::sqrt(level.variance) * random();
    value = std::exp(std::log(n) - log_cost - s.shapes[q.shape].log_value(q.p, n, batch));
  }
  return result;
}

double Fit::log_density(std::int64_t ranks, double batch_per_rank, double samples_per_s) const {
  const State& s = *state_;
  const auto n = static_cast<double>(ranks);
  const double batch = s.batch_or_default(n, batch_per_rank);
  double sum = 0;
  for (const auto& q : s.particles) {
    const double residual = std::log(n / samples_per_s) - s.shapes[q.shape].log_value(q.p, n, batch);
    sum += noise_density(residual, s.level_at(q, n, batch), 0, q.sigma);
  }
  return std::log(std::max(sum / static_cast<double>(s.particles.size()), 1e-300));
}

double Fit::ideal(std::int64_t ranks) const {
  const auto& last = state_->groups.back();
  return last.samples_per_s / static_cast<double>(last.ranks) * static_cast<double>(ranks);
}

double Fit::efficiency(std::int64_t ranks, double samples_per_s) const {
  const auto& first = state_->groups.front();
  return samples_per_s / static_cast<double>(ranks) / (first.samples_per_s / static_cast<double>(first.ranks));
}

double Fit::default_batch(std::int64_t ranks) const {
  return state_->batch_known ? state_->batch_or_default(static_cast<double>(ranks), kUnknownBatch) : kUnknownBatch;
}

const ScalingCurve& Fit::curve() const { return state_->curve; }
const std::vector<ScalingGroup>& Fit::measured() const { return state_->groups; }
const std::vector<ShapeWeight>& Fit::shapes() const { return state_->weights; }
double Fit::noise() const { return state_->noise; }
double Fit::discrepancy() const { return state_->discrepancy; }
const Priors& Fit::priors() const { return state_->options.priors; }
const std::vector<std::string>& Fit::notes() const { return state_->notes; }

}  // namespace gpumonth::budget
