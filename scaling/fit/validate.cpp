#include "scaling/fit/validate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/error.h"
#include "base/quantile.h"
#include "base/random.h"
#include "scaling/curve_csv.h"
#include "scaling/fit/baselines.h"
#include "scaling/fit/cuts.h"
#include "scaling/fit/false_batch.h"
#include "scaling/fit/family.h"
#include "scaling/throughput_unit.h"

namespace gpumonth::scaling {
namespace {

constexpr std::size_t kMinResiduals = 10;  // of other curves, for a baseline's interval

/// Weak scaling: as its source says, else where the batch per rank stays within 10 %.
bool is_weak(const ScalingCurve& curve) {
  if (!curve.kind.empty()) return curve.kind.starts_with("weak");
  if (!has_batch(curve)) return true;
  const auto [low, high] = std::minmax_element(curve.points.begin(), curve.points.end(),
                                               [](auto& a, auto& b) { return a.batch_per_rank < b.batch_per_rank; });
  return high->batch_per_rank <= 1.1 * low->batch_per_rank;
}

void forecast_curve(const ScalingCurve& curve, const FitOptions& options, bool with_baselines,
                    std::vector<Forecast>& all) {
  for (const Cut& cut : cuts(curve)) {
    const Fit fit = fit_curve(cut.train, options);
    for (const auto& g : cut.later) {
      Forecast& f = all.emplace_back();
      f.curve = curve.name;
      f.weak = is_weak(curve);
      f.ranks_train = cut.train.points.back().ranks;
      f.ranks = g.ranks;
      f.batch_per_rank = g.batch_per_rank;
      f.measured = g.samples_per_s;
      const Prediction p = fit.predict(g.ranks, g.batch_per_rank);
      f.method[0] = {p.samples_per_s, p.low, p.high};
      for (int m = 1; m < (with_baselines ? kMethods : 1); ++m)
        f.method[m].value = forecast(kBaselines[m - 1], cut.train, g.ranks);
    }
  }
}

double ratio(const Forecast& f) { return static_cast<double>(f.ranks) / static_cast<double>(f.ranks_train); }

void add_baseline_intervals(std::vector<Forecast>& all) {
  for (int m = 1; m < kMethods; ++m) {
    for (auto& f : all) {
      std::vector<double> scaled;
      for (const auto& other : all)
        if (other.curve != f.curve)
          scaled.push_back(std::abs(std::log(other.method[m].value / other.measured)) /
                           std::sqrt(std::log2(ratio(other))));
      if (scaled.size() < kMinResiduals) {
        f.method[m].low = f.method[m].high = std::nan("");
        continue;
      }
      const double reach = quantile(scaled, 0.9) * std::sqrt(std::log2(ratio(f)));
      f.method[m].low = f.method[m].value * std::exp(-reach);
      f.method[m].high = f.method[m].value * std::exp(reach);
    }
  }
}

Score score(const std::vector<const Forecast*>& forecasts, int m) {
  std::vector<double> errors, widths;
  Score s;
  for (const auto* f : forecasts) {
    const auto& v = f->method[m];
    const double scale = 100 / f->measured;
    errors.push_back(scale * std::abs(v.value - f->measured));
    widths.push_back(scale * (v.high - v.low));
    const double outside = std::max({0.0, v.low - f->measured, f->measured - v.high});
    s.coverage += outside > 0 ? 0 : 1;
    s.interval_score += scale * (v.high - v.low + 20 * outside);
    s.mean_error += errors.back();
  }
  const auto n = static_cast<double>(forecasts.size());
  s.coverage /= n;
  s.interval_score /= n;
  s.mean_error /= n;
  s.worst_error = *std::max_element(errors.begin(), errors.end());
  s.median_error = quantile(errors, 0.5);
  s.median_width = quantile(widths, 0.5);
  if (std::isnan(s.interval_score)) s.coverage = s.median_width = s.interval_score;
  return s;
}

template <class Member>
void add_class(Validation& v, const std::string& name, const Member& is_member) {
  std::vector<const Forecast*> members;
  for (const auto& f : v.forecasts)
    if (is_member(f)) members.push_back(&f);
  if (members.empty()) return;
  ScoreClass& c = v.classes.emplace_back();
  c.name = name;
  c.forecasts = members.size();
  for (int m = 0; m < kMethods; ++m) c.method[m] = score(members, m);
}

/// Mean errors and interval scores of ours less another's, resampling whole families.
void compare_families(Validation& v) {
  constexpr int kDraws = 2000;
  std::map<std::string, std::vector<const Forecast*>> by_family;
  for (const auto& f : v.forecasts) by_family[family(f.curve)].push_back(&f);
  std::vector<const std::vector<const Forecast*>*> families;
  for (const auto& [name, members] : by_family) families.push_back(&members);
  v.families = families.size();
  if (families.size() < 3) return;
  NormalDraws random(20261128);
  for (int m = 1; m < kMethods; ++m) {
    std::vector<double> errors, scores;
    for (int draw = 0; draw < kDraws; ++draw) {
      std::vector<const Forecast*> drawn;
      for (std::size_t i = 0; i < families.size(); ++i) {
        const auto& members =
            *families[static_cast<std::size_t>(random.uniform() * static_cast<double>(families.size()))];
        drawn.insert(drawn.end(), members.begin(), members.end());
      }
      const Score ours = score(drawn, 0), other = score(drawn, m);
      errors.push_back(ours.mean_error - other.mean_error);
      scores.push_back(ours.interval_score - other.interval_score);
    }
    const Score ours = v.classes.back().method[0], other = v.classes.back().method[m];
    const auto difference = [](double value, const std::vector<double>& draws) {
      return PairedDifference{value, quantile(draws, 0.05), quantile(draws, 0.95)};
    };
    v.mean_error[m] = difference(ours.mean_error - other.mean_error, errors);
    v.interval_score[m] = difference(ours.interval_score - other.interval_score, scores);
  }
}

void test_false_batches(const std::vector<ScalingCurve>& curves, const FitOptions& options, Validation& v) {
  for (int column = -1; column < static_cast<int>(false_batches().size()); ++column) {
    std::vector<Forecast> forecasts;
    for (const auto& curve : with_false_batch(curves, column)) forecast_curve(curve, options, false, forecasts);
    if (forecasts.empty()) return;
    std::vector<const Forecast*> all;
    for (const auto& f : forecasts) all.push_back(&f);
    v.false_batch.push_back(
        {column < 0 ? "none" : false_batches()[static_cast<std::size_t>(column)].name, all.size(), score(all, 0)});
  }
}

}  // namespace

std::string method_name(int method) { return method == 0 ? "gpumonth" : name(kBaselines[method - 1]); }

Validation validate(const std::vector<ScalingCurve>& curves, const FitOptions& options) {
  Validation v;
  std::size_t few = 0, other = 0;
  for (const auto& curve : curves) {
    if (!is_throughput(curve.unit)) {
      ++other;
    } else {
      ScalingCurve sorted = curve;
      sort(sorted);
      const std::size_t before = v.forecasts.size();
      if (!curve.points.empty()) check(sorted), forecast_curve(sorted, options, true, v.forecasts);
      few += v.forecasts.size() == before;
    }
  }
  if (few) v.notes.push_back(fmt::format("{} curves with fewer than {} rank counts were left out", few, kMinTrain + 1));
  if (other) v.notes.push_back(fmt::format("{} curves that are no throughput were left out", other));
  if (v.forecasts.empty())
    user_error("nothing to validate: no curve of throughput has at least {} rank counts", kMinTrain + 1);
  add_baseline_intervals(v.forecasts);
  constexpr struct {
    const char* text;
    double from, to;
  } kReach[] = {{"N/N_train <= 2.5", 0, 2.5}, {"2.5 - 5", 2.5, 5}, {"5 - 12", 5, 12}, {"beyond 12", 12, 1e99}};
  for (const bool weak : {true, false})
    for (const auto& reach : kReach)
      add_class(v, fmt::format("{}, {}", weak ? "weak" : "mixed", reach.text),
                [&](const Forecast& f) { return f.weak == weak && ratio(f) > reach.from && ratio(f) <= reach.to; });
  add_class(v, "all", [](const Forecast&) { return true; });
  compare_families(v);
  test_false_batches(curves, options, v);
  return v;
}

}  // namespace gpumonth::scaling
