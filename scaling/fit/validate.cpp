#include "scaling/fit/validate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/quantile.h"
#include "scaling/curve_csv.h"
#include "scaling/fit/baselines.h"
#include "scaling/throughput_unit.h"

namespace gpumonth::scaling {
namespace {

constexpr std::size_t kMinTrain = 3;       // rank counts
constexpr std::size_t kMinResiduals = 10;  // of other curves, for a baseline's interval

/// Weak scaling: as its source says, else where the batch per rank stays within 10 %.
bool is_weak(const ScalingCurve& curve) {
  if (!curve.kind.empty()) return curve.kind.starts_with("weak");
  if (!has_batch(curve)) return true;
  const auto [low, high] = std::minmax_element(curve.points.begin(), curve.points.end(),
                                               [](auto& a, auto& b) { return a.batch_per_rank < b.batch_per_rank; });
  return high->batch_per_rank <= 1.1 * low->batch_per_rank;
}

std::vector<std::int64_t> rank_counts(const ScalingCurve& curve) {
  std::vector<std::int64_t> counts;
  for (const auto& p : curve.points)
    if (counts.empty() || counts.back() != p.ranks) counts.push_back(p.ranks);
  return counts;
}

/// The curve up to `ranks`.
ScalingCurve cut(const ScalingCurve& curve, std::int64_t ranks) {
  ScalingCurve part = curve;
  std::erase_if(part.points, [&](const auto& p) { return p.ranks > ranks; });
  return part;
}

void forecast_curve(const ScalingCurve& curve, const FitOptions& options, std::vector<Forecast>& all) {
  const auto counts = rank_counts(curve);
  const auto places = groups(curve);
  for (std::size_t k = kMinTrain; k < counts.size(); ++k) {
    const ScalingCurve train = cut(curve, counts[k - 1]);
    const Fit fit = fit_curve(train, options);
    for (const auto& g : places) {
      if (g.ranks <= counts[k - 1]) continue;
      Forecast& f = all.emplace_back();
      f.curve = curve.name;
      f.weak = is_weak(curve);
      f.ranks_train = counts[k - 1];
      f.ranks = g.ranks;
      f.batch_per_rank = g.batch_per_rank;
      f.measured = g.samples_per_s;
      const Prediction p = fit.predict(g.ranks, g.batch_per_rank);
      f.method[0] = {p.samples_per_s, p.low, p.high};
      for (int m = 1; m < kMethods; ++m) f.method[m].value = forecast(kBaselines[m - 1], train, g.ranks);
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

}  // namespace

std::string method_name(int method) { return method == 0 ? "gpumonth" : name(kBaselines[method - 1]); }

Validation validate(const std::vector<ScalingCurve>& curves, const FitOptions& options) {
  Validation v;
  v.priors = options.priors;
  std::size_t few = 0, other = 0;
  for (const auto& curve : curves) {
    if (!is_throughput(curve.unit)) {
      ++other;
    } else if (curve.points.empty() || rank_counts(curve).size() <= kMinTrain) {
      ++few;
    } else {
      check(curve);
      forecast_curve(curve, options, v.forecasts);
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
  return v;
}

}  // namespace gpumonth::scaling
