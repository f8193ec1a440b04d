#include "scaling/fit/fit.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/normal.h"
#include "base/random.h"
#include "scaling/fit/fit_state.h"

namespace gpumonth::scaling {

namespace {

constexpr double kDisagreement = 0.2;  // repeats further apart than this are named
constexpr double kJump = 5;            // throughput per rank at neighbouring points further apart than this is named
constexpr double kLargest = 1e30;      // throughput beyond which its ratios leave what a table can show

/// Where `probability` of a mixture of distribution functions lies.
template <class Cdf>
double mixture_quantile(double probability, double low, double high, const Cdf& cdf) {
  for (int i = 0; i < 40; ++i) {
    const double middle = 0.5 * (low + high);
    (cdf(middle) < probability ? low : high) = middle;
  }
  return 0.5 * (low + high);
}

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
    notes.push_back(
        fmt::format("one rank count only ({}): how throughput grows beyond it is the priors' word", all.front().ranks));
  std::size_t named = 0;
  for (const auto& g : all)
    if (g.spread > kDisagreement && ++named <= 3)
      notes.push_back(fmt::format("the {} repeats at {} ranks differ by {:.0f} %: the interval is wide because of it",
                                  g.repeats, g.ranks, 100 * g.spread));
  // No column need say the unit, and neither a batch that shrinks nor a broken network costs this much.
  for (std::size_t i = 1; i < all.size(); ++i) {
    const double before = all[i - 1].samples_per_s / static_cast<double>(all[i - 1].ranks);
    const double ratio = all[i].samples_per_s / static_cast<double>(all[i].ranks) / before;
    if (std::max(ratio, 1 / ratio) <= kJump) continue;
    notes.push_back(
        fmt::format("throughput per rank at {} ranks is {:.4g} times that at {}: are all rows total "
                    "throughput in one unit?",
                    all[i].ranks, ratio, all[i - 1].ranks));
    break;
  }
}

}  // namespace

Fit fit_curve(const ScalingCurve& curve, const FitOptions& options) {
  check(curve);
  for (const auto& p : curve.points)
    if (!(p.samples_per_s < kLargest && p.samples_per_s > 1 / kLargest))
      user_error("curve '{}', {} ranks: a throughput of {:g} cannot be: expected {:g} to {:g}", curve.name, p.ranks,
                 p.samples_per_s, 1 / kLargest, kLargest);
  auto state = std::make_shared<Fit::State>();
  state->curve = curve;
  sort(state->curve);
  state->options = options;
  state->groups = groups(state->curve);
  add_notes(state->curve, state->groups, state->notes);
  state->data = observations(state->curve, state->notes);
  state->batch_known = has_batch(curve);
  CurveShape shape;
  double smallest = state->data.front().batch, largest = smallest;
  for (const auto& o : state->data) {
    shape.ranks_max = std::max(shape.ranks_max, o.ranks);
    smallest = std::min(smallest, o.batch);
    largest = std::max(largest, o.batch);
  }
  shape.batch_reference = std::sqrt(smallest * largest);
  shape.batch_varies = smallest != largest;
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
    for (const auto& p : parts) sum += normal_cdf((x - p.level.mean) / (std::sqrt(p.level.variance) + 1e-12));
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

std::vector<double> Fit::draws(std::int64_t ranks, double batch_per_rank, std::size_t count, std::uint64_t seed) const {
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

}  // namespace gpumonth::scaling
