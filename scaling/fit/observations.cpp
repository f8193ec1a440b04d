#include "scaling/fit/observations.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/quantile.h"

namespace gpumonth::scaling {
namespace {

constexpr std::size_t kMaxPlaces = 24;

struct MeasuredPlace {
  double ranks, batch;
  std::vector<double> log_costs;
};

std::vector<MeasuredPlace> places_of(const ScalingCurve& curve) {
  ScalingCurve sorted = curve;
  sort(sorted);
  const bool batch = has_batch(curve);
  std::vector<MeasuredPlace> places;
  for (const auto& p : sorted.points) {
    const auto ranks = static_cast<double>(p.ranks);
    const double b = batch ? p.batch_per_rank : 1;
    if (places.empty() || places.back().ranks != ranks || places.back().batch != b) places.push_back({ranks, b, {}});
    places.back().log_costs.push_back(std::log(ranks / p.samples_per_s));
  }
  return places;
}

/// One place for each of kMaxPlaces equal parts of log N: the one with the median cost.
std::vector<MeasuredPlace> thinned(std::vector<MeasuredPlace> places) {
  const double low = std::log(places.front().ranks), high = std::log(places.back().ranks);
  std::vector<MeasuredPlace> kept;
  for (std::size_t part = 0, i = 0; part < kMaxPlaces && i < places.size(); ++part) {
    const double end = low + (high - low) * static_cast<double>(part + 1) / kMaxPlaces + 1e-9;
    const std::size_t first = i;
    while (i < places.size() && (part + 1 == kMaxPlaces || std::log(places[i].ranks) <= end)) ++i;
    if (i == first) continue;
    const auto begin = places.begin() + static_cast<std::ptrdiff_t>(first);
    const auto middle = begin + static_cast<std::ptrdiff_t>((i - first) / 2);
    std::nth_element(
        begin, middle, places.begin() + static_cast<std::ptrdiff_t>(i),
        [](const MeasuredPlace& a, const MeasuredPlace& b) { return a.log_costs.front() < b.log_costs.front(); });
    kept.push_back(*middle);
  }
  return kept;
}

}  // namespace

std::vector<Observation> observations(const ScalingCurve& curve, std::vector<std::string>& notes, std::size_t most) {
  std::vector<MeasuredPlace> places = places_of(curve);
  if (places.size() > kMaxPlaces) {
    notes.push_back(
        fmt::format("{} pairs of ranks and batch: the fit takes the middle one of each of {} parts of log N",
                    places.size(), kMaxPlaces));
    places = thinned(std::move(places));
  }
  const std::size_t repeats = std::max<std::size_t>(2, most / places.size());
  bool reduced = false;
  std::vector<Observation> result;
  for (MeasuredPlace& place : places) {
    const std::size_t count = std::min(repeats, place.log_costs.size());
    if (count < place.log_costs.size()) {
      reduced = true;
      std::sort(place.log_costs.begin(), place.log_costs.end());
      std::vector<double> kept;
      for (std::size_t i = 0; i < count; ++i)
        kept.push_back(quantile(place.log_costs, (static_cast<double>(i) + 0.5) / static_cast<double>(count)));
      place.log_costs = kept;
    }
    for (const double cost : place.log_costs) result.push_back({place.ranks, place.batch, cost});
  }
  if (reduced)
    notes.push_back(
        fmt::format("more than {} repeats at one place: the fit takes {} of their quantiles", repeats, repeats));
  return result;
}

}  // namespace gpumonth::scaling
