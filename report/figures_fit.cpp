// A scaling curve with its fit: what was measured, replayed and simulated, each from where it begins, the median forecast
// and its 90 % band, out to the planned number of GPUs. Drawn is the throughput per GPU in per cent of the curve's first point.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "base/format.h"
#include "budget/plan/scaling_basis.h"
#include "report/figures.h"
#include "report/svg.h"

namespace gpumonth::report {
namespace {

constexpr int kForecasts = 60;  // points of the band
constexpr std::size_t kMostTics = 14;

/// Where the band is evaluated: evenly on the logarithmic axis, at every measured number of GPUs, and just
/// before it, because a table's batch may jump there.
std::set<std::int64_t> places(const scaling::ScalingCurve& curve, std::int64_t last) {
  const auto first = static_cast<double>(curve.points.front().ranks);
  std::set<std::int64_t> at{last};
  for (int i = 0; i <= kForecasts; ++i)
    at.insert(std::llround(first * std::pow(static_cast<double>(last) / first, i / double{kForecasts})));
  for (const auto& point : curve.points) {
    at.insert(point.ranks);
    if (point.ranks - 1 >= curve.points.front().ranks) at.insert(point.ranks - 1);
  }
  return at;
}

/// Powers of two between the ends, thinned, in words.
std::string doublings(double first, double last) {
  std::vector<double> at;
  for (double x = std::exp2(std::ceil(std::log2(first) - 1e-9)); x <= last * 1.0001; x *= 2) at.push_back(x);
  const std::size_t every = at.size() / kMostTics + 1;
  std::string tics;
  for (std::size_t i = 0; i < at.size(); i += every)
    tics += fmt::format("{}{} {}", tics.empty() ? "" : ", ", quoted(grouped(at[i])), at[i]);
  return tics;
}

std::string unit_word(const char* unit, std::int64_t count) {
  return fmt::format("{} {}{}", grouped(static_cast<double>(count)), unit, count == 1 ? "" : "s");
}

void mark_planned(Plot& plot, double gpus) {
  plot.line(fmt::format("set arrow from first {0},graph 0 to first {0},graph 1 nohead lc rgb '{1}' dt (4,4) back", gpus,
                        colour::kMuted));
  plot.label("planned ", fmt::format("first {},graph 0.05", gpus),
             fmt::format("right textcolor rgb '{}'", colour::kMuted));
}

runlog::Origin origin_of(const scaling::ScalingPoint& point, const std::vector<budget::Efficiency>& runs) {
  const auto run = std::find_if(runs.begin(), runs.end(), [&](const auto& r) { return r.path == point.run; });
  return run == runs.end() ? runlog::Origin::measured : run->origin;
}

/// gnuplot's filled circle, triangle and diamond.
int point_type(runlog::Origin origin) {
  constexpr int kTypes[] = {7, 9, 13};
  return kTypes[static_cast<int>(origin)];
}

/// A thin line where a kind of points begins, with its name; `row`: the labels stand one above the other.
void mark_begin(Plot& plot, const std::string& what, std::int64_t ranks, int row) {
  plot.line(fmt::format("set arrow from first {0},graph 0 to first {0},graph 1 nohead lc rgb '{1}' dt (2,4) back",
                        ranks, colour::kMuted));
  plot.label(fmt::format(" {} from {}", what, grouped(static_cast<double>(ranks))),
             fmt::format("first {},graph {:.2f}", ranks, 0.12 + 0.07 * row),
             fmt::format("left textcolor rgb '{}'", colour::kMuted));
}

/// Where what is drawn ceases to be measured. A curve that is measured alone has no marks: its points say it.
void mark_begins(Plot& plot, const std::map<runlog::Origin, std::int64_t>& begins, std::int64_t most,
                 std::int64_t last) {
  if (begins.size() == 1 && begins.contains(runlog::Origin::measured)) return;
  int row = 0;
  for (const auto& [origin, ranks] : begins)
    if (origin != runlog::Origin::measured) mark_begin(plot, name(origin), ranks, row++);
  if (last > most) mark_begin(plot, "forecast alone", most, row);
}

}  // namespace

std::map<runlog::Origin, std::int64_t> first_ranks(const scaling::ScalingCurve& curve,
                                                   const std::vector<budget::Efficiency>& runs) {
  std::map<runlog::Origin, std::int64_t> first;
  for (const auto& point : curve.points) {
    const auto [entry, is_new] = first.try_emplace(origin_of(point, runs), point.ranks);
    if (!is_new) entry->second = std::min(entry->second, point.ranks);
  }
  return first;
}

std::string fit_figure(const scaling::Fit& fit, std::int64_t planned, std::int64_t reach, const char* id,
                       const char* unit, const std::vector<budget::Efficiency>& runs) {
  const scaling::ScalingCurve& curve = fit.curve();
  const std::int64_t first = curve.points.front().ranks, most = curve.points.back().ranks;
  const std::int64_t wanted = planned > 0 ? std::max(planned, most) : 8 * most;
  const std::int64_t last = reach > 0 ? std::max(most, std::min(wanted, reach)) : wanted;
  if (first == most) return "";
  std::vector<std::vector<double>> band;
  double highest = 100;
  for (const std::int64_t ranks : places(curve, last)) {
    const scaling::Prediction p = fit.predict(ranks, budget::forecast_batch(curve, ranks));
    const auto share = [&](double samples_per_s) { return 100 * fit.efficiency(ranks, samples_per_s); };
    band.push_back({static_cast<double>(ranks), share(p.low), share(p.samples_per_s), share(p.high)});
    highest = std::max(highest, std::min(200.0, band.back()[3]));
  }
  // By kind and batch per GPU.
  std::map<std::pair<runlog::Origin, double>, std::vector<std::vector<double>>> points;
  for (const auto& point : curve.points) {
    const double share = 100 * fit.efficiency(point.ranks, point.samples_per_s);
    points[{origin_of(point, runs), scaling::has_batch(curve) ? point.batch_per_rank : 0}].push_back(
        {static_cast<double>(point.ranks), share});
    highest = std::max(highest, share);
  }
  Plot plot(kFigureWidth, 400);
  plot.data("band", band).line("set logscale x 2").line("set key outside top left horizontal Left reverse samplen 1.6");
  plot.line(
      fmt::format("set xrange [{:.9g}:{:.9g}]", static_cast<double>(first) / 1.2, static_cast<double>(last) * 1.2));
  plot.line(fmt::format("set yrange [0:{:.9g}]", 1.12 * highest));
  plot.line("set xtics (" + doublings(static_cast<double>(first), static_cast<double>(last)) + ")");
  plot.line(fmt::format("set xlabel '{}s'", unit));
  plot.line(
      fmt::format("set ylabel {}", quoted(fmt::format("throughput per {}, % of {}", unit, unit_word(unit, first)))));
  if (planned > 0 && planned <= last) mark_planned(plot, static_cast<double>(planned));
  const auto begins = first_ranks(curve, runs);
  mark_begins(plot, begins, most, last);
  std::string command = fmt::format(
      "$band using 1:2:4 with filledcurves lc rgb '{}' fs solid 0.35 title 'forecast of one more run: 90 %', "
      "$band using 1:3 with lines lw 2 lc rgb '{}' title 'median'",
      colour::kForward, colour::kBackward);
  std::size_t i = 0;
  for (const auto& [kind, rows] : points) {
    const auto& [origin, batch] = kind;
    plot.data(fmt::format("points{}", i), rows);
    const std::string title = points.size() == begins.size()
                                  ? std::string(name(origin))
                                  : fmt::format("{}, {:g} samples per {}", name(origin), batch, unit);
    command += fmt::format(", $points{} using 1:2 with points pt {} ps 0.75 lc rgb '{}' title {}", i,
                           point_type(origin), series_colour(i + 1), quoted(title));
    ++i;
  }
  plot.line("plot " + command);
  return plot.svg(id, "Throughput per GPU against the number of GPUs, with its fit");
}

}  // namespace gpumonth::report
