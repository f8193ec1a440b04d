#include "scaling/fit/fit.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "scaling/fit/observations.h"
#include "scaling/fit/posterior.h"

namespace gpumonth::scaling {

namespace {

constexpr double kDisagreement = 0.2;  // repeats further apart than this are named
constexpr double kJump = 5;            // throughput per rank at neighbouring points further apart than this is named
constexpr double kSuspicion = 0.2;     // probability from which a fault is named
constexpr double kLargest = 1e30;      // throughput beyond which its ratios leave what a table can show

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
    notes.push_back(fmt::format("one rank count only ({}): how throughput grows beyond it is what other curves did",
                                all.front().ranks));
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

struct Fit::State {
  ScalingCurve curve;
  std::vector<ScalingGroup> groups;  // of the curve
  FitOptions options;
  std::vector<std::string> notes;
  bool batch_known = false;
  double fixed_global_batch = 0;  // 0: not fixed
  std::vector<Observation> data;
  std::unique_ptr<const Posterior> posterior;

  Place place(std::int64_t ranks, double batch) const {
    const auto n = static_cast<double>(ranks);
    if (!batch_known) return {n, 1};
    if (!std::isnan(batch)) return {n, batch};
    return {n, fixed_global_batch > 0 ? fixed_global_batch / n : data.back().batch};
  }
};

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
  if (state->batch_known) find_fixed_batch(state->data, state->fixed_global_batch);
  if (!state->batch_known) state->options.components = nullptr;
  state->posterior = std::make_unique<const Posterior>(state->data, options.constants, state->options.components.get());
  Fit fit;
  fit.state_ = state;
  return fit;
}

Prediction Fit::predict(std::int64_t ranks, double batch_per_rank) const {
  const State& s = *state_;
  const Place place = s.place(ranks, batch_per_rank);
  const Mixture one = s.posterior->forecast(place, true), mean = s.posterior->forecast(place, false);
  // a high log cost is a low throughput
  const auto at = [&](const Mixture& log_cost, double probability) {
    return place.ranks / std::exp(log_cost.quantile(1 - probability));
  };
  Prediction result;
  result.ranks = ranks;
  result.batch_per_rank = s.batch_known ? place.batch : kUnknownBatch;
  result.samples_per_s = at(one, 0.5);
  result.low = at(one, 0.05);
  result.high = at(one, 0.95);
  // One measurement may be an outlier and then has not met the break that the mean may have: never wider because of it.
  result.mean_low = std::max(at(mean, 0.05), result.low);
  result.mean_high = std::min(at(mean, 0.95), result.high);
  result.efficiency = efficiency(ranks, result.samples_per_s);
  return result;
}

std::vector<double> Fit::ratio_per_rank(std::int64_t ranks, double batch_per_rank, std::int64_t reference,
                                        double reference_batch, std::size_t count) const {
  const Place there = state_->place(ranks, batch_per_rank), here = state_->place(reference, reference_batch);
  std::vector<double> ratios = state_->posterior->difference(there, here).quantiles(count);
  for (double& value : ratios) value = std::exp(-value);
  std::reverse(ratios.begin(), ratios.end());
  return ratios;
}

double Fit::log_density(std::int64_t ranks, double batch_per_rank, double samples_per_s) const {
  return state_->posterior->forecast(state_->place(ranks, batch_per_rank), true)
      .log_density(std::log(static_cast<double>(ranks) / samples_per_s));
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
  return state_->batch_known ? state_->place(ranks, kUnknownBatch).batch : kUnknownBatch;
}

std::vector<ShapeWeight> Fit::shapes() const {
  std::vector<ShapeWeight> all;
  for (const auto& g : state_->posterior->growths()) all.push_back({g.growth, g.prior, g.probability, g.slope});
  return all;
}

BatchShare Fit::batch_share() const {
  const Posterior& p = *state_->posterior;
  if (!p.reads_batch()) return {};
  return {true, p.no_share(), p.share_quantile(0.05), p.share_quantile(0.5), p.share_quantile(0.95)};
}

std::vector<Suspect> Fit::suspects() const {
  const auto& data = state_->data;
  const auto ranks = [&](std::size_t i) { return static_cast<std::int64_t>(data[i].ranks); };
  const auto &outliers = state_->posterior->outliers(), &breaks = state_->posterior->breaks();
  std::vector<Suspect> all;
  for (std::size_t i = 0; i < outliers.size(); ++i)
    if (outliers[i] >= kSuspicion) all.push_back({false, ranks(i), ranks(i), outliers[i]});
  for (std::size_t i = 0; i < breaks.size(); ++i)
    if (breaks[i] >= kSuspicion) all.push_back({true, ranks(i), ranks(i + 1), breaks[i]});
  return all;
}

double Fit::noise() const {
  const Posterior& p = *state_->posterior;
  return std::sqrt(p.noise_variance(p.roughness()));
}
double Fit::discrepancy() const { return state_->posterior->roughness() * constants().walk; }
const ScalingCurve& Fit::curve() const { return state_->curve; }
const std::vector<ScalingGroup>& Fit::measured() const { return state_->groups; }
const Constants& Fit::constants() const { return state_->options.constants; }
const std::vector<std::string>& Fit::notes() const { return state_->notes; }

}  // namespace gpumonth::scaling
