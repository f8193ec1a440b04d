// Figures of single runs: loss, step-time breakdown, stragglers, buckets.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "base/quantile.h"
#include "report/figures.h"
#include "report/svg.h"
#include "scaling/run_groups.h"

namespace gpumonth::report {
namespace {

// More do not show, and make the page heavy: the log of 10^6 steps makes no larger page than that of 10^3.
constexpr std::size_t kMostColumns = 700;   ///< of one curve, two points in each
constexpr std::size_t kAllColumns = 30000;  ///< of all curves of a figure
constexpr std::size_t kMostPlaces = 1500;   ///< ranks, buckets

/// Centred moving average over about 1/25 of the curve.
std::vector<double> smooth(const std::vector<double>& values) {
  std::vector<long double> before = {0};  // sums of the values before this one; wide enough for a loss that blew up
  for (const double value : values) before.push_back(before.back() + static_cast<long double>(value));
  const std::size_t half = values.size() / 50;
  std::vector<double> out;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::size_t reach = std::min({half, i, values.size() - 1 - i});
    out.push_back(
        static_cast<double>((before[i + reach + 1] - before[i - reach]) / static_cast<long double>(2 * reach + 1)));
  }
  return out;
}

/// The places of `values` to draw: all, or of each of `columns` stretches the lowest and the highest, in order.
std::vector<std::size_t> extremes(const std::vector<double>& values, std::size_t columns) {
  std::vector<std::size_t> places;
  const std::size_t n = values.size();
  if (n <= 2 * columns) columns = n;
  for (std::size_t c = 0; c < columns; ++c) {
    const auto begin = values.begin() + static_cast<std::ptrdiff_t>(n * c / columns),
               end = values.begin() + static_cast<std::ptrdiff_t>(n * (c + 1) / columns);
    const auto [low, high] = std::minmax_element(begin, end);
    const auto first = static_cast<std::size_t>(std::min(low, high) - values.begin()),
               last = static_cast<std::size_t>(std::max(low, high) - values.begin());
    places.push_back(first);
    if (last != first) places.push_back(last);
  }
  return places;
}

struct Curve {
  std::vector<std::vector<double>> rows;  // step, loss, smoothed
  double low = INFINITY, high = -INFINITY;
};

Curve loss_curve(const runlog::Run& run, std::size_t columns) {
  std::vector<double> steps, losses;
  for (const auto& step : run.steps) {
    if (!std::isfinite(step.loss)) continue;  // loss_note() says so
    steps.push_back(static_cast<double>(step.step));
    losses.push_back(step.loss);
  }
  Curve curve;
  const auto smoothed = smooth(losses);
  for (const std::size_t i : extremes(losses, columns)) {
    curve.rows.push_back({steps[i], losses[i], smoothed[i]});
    curve.low = std::min(curve.low, losses[i]);
    curve.high = std::max(curve.high, losses[i]);
  }
  return curve;
}

/// Boxes (x0, x1) at height y, half of `thickness` up and down, as rows of gnuplot's boxxyerror.
std::vector<double> box(double x0, double x1, double y, double thickness) {
  return {(x0 + x1) / 2, y, x0, x1, y - thickness / 2, y + thickness / 2};
}

constexpr const char* kBoxes = "using 1:2:3:4:5:6 with boxxyerror";

const runlog::Run* widest(const std::vector<runlog::Run>& runs, bool (*has_data)(const runlog::Run&)) {
  const runlog::Run* best = nullptr;
  for (const auto& run : runs)
    if (has_data(run) && (best == nullptr || run.info.world_size > best->info.world_size)) best = &run;
  return best;
}

/// The whole rows of rank_step_time_s that belong to steady steps.
std::vector<std::size_t> steady_rank_rows(const runlog::Run& run) {
  const auto ranks = static_cast<std::size_t>(std::max(1, run.info.world_size));
  const std::size_t whole = std::min(run.rank_steps.size(), run.rank_step_time_s.size() / ranks);
  std::vector<std::size_t> rows;
  for (std::size_t row = 0; row < whole; ++row)
    if (run.is_steady(run.rank_steps[row])) rows.push_back(row);
  return rows;
}

bool has_steady_rank_times(const runlog::Run& run) { return run.info.world_size > 1 && !steady_rank_rows(run).empty(); }

/// The middle one of the sampled steps: past the warm-up where there is a choice.
std::int64_t sampled_step(const runlog::Run& run) {
  std::vector<std::int64_t> steps;
  for (const auto& bucket : run.buckets)
    if (steps.empty() || steps.back() != bucket.step) steps.push_back(bucket.step);
  return steps[steps.size() / 2];
}

}  // namespace

std::string loss_figure(const std::vector<runlog::Run>& runs, const std::vector<scaling::RunGroup>& groups) {
  std::vector<std::pair<const scaling::RunGroup*, Curve>> curves;
  double low = INFINITY, high = -INFINITY;
  for (const auto& group : groups)
    for (const std::size_t i : group.runs) {
      curves.emplace_back(&group,
                          loss_curve(runs[i], std::clamp<std::size_t>(kAllColumns / runs.size(), 10, kMostColumns)));
      low = std::min(low, curves.back().second.low);
      high = std::max(high, curves.back().second.high);
    }
  Plot plot(kFigureWidth, 330 + 18 * static_cast<int>((groups.size() + 2) / 3));
  plot.line("set xlabel 'optimizer step'").line("set ylabel 'loss (mean over the global batch)'");
  plot.line("set key outside top left horizontal Left reverse samplen 1.6 maxcols 3 height 0.5");
  plot.line("set lmargin 9").line("set xrange [0:*]");
  std::string raw, smoothed;
  const scaling::RunGroup* titled = nullptr;  // repeats share a colour and one line of the key
  for (std::size_t i = 0; i < curves.size(); ++i) {
    const auto& [group, curve] = curves[i];
    if (curve.rows.empty()) continue;
    plot.data(fmt::format("loss{}", i), curve.rows);
    const std::string colour = series_colour(static_cast<std::size_t>(group - groups.data()));
    raw += fmt::format("$loss{} using 1:2 with lines lc rgb '#b0{}' lw 1 notitle, ", i, colour.substr(1));
    smoothed += fmt::format("$loss{} using 1:3 with lines lc rgb '{}' lw 2.2 {}, ", i, colour,
                            group == titled ? "notitle" : "title " + quoted(scaling::label_with_count(*group)));
    titled = group;
  }
  if (smoothed.empty()) return "";
  if (low > 0 && high / low > 20) plot.line("set logscale y");
  plot.line("plot " + raw + smoothed.substr(0, smoothed.size() - 2));
  return plot.svg("fig-loss", "Loss against optimizer step");
}

std::string loss_note(const std::vector<runlog::Run>& runs) {
  std::size_t steps = 0;
  for (const auto& run : runs)
    steps += static_cast<std::size_t>(
        std::ranges::count_if(run.steps, [](const auto& step) { return !std::isfinite(step.loss); }));
  if (steps == 0) return "";
  return fmt::format(" Not drawn: {} step{} whose loss is no finite number.", steps, steps == 1 ? "" : "s");
}

std::vector<StepPart> mean_step(const budget::Efficiency& run) {
  const auto& mean = run.summary.mean;
  return {{"data", colour::kData, mean.data_s},
          {"forward", colour::kForward, mean.forward_s},
          {"backward", colour::kBackward, mean.backward_s},
          {"exposed communication", colour::kExposed, mean.exposed_comm_s},
          {"optimizer", colour::kOptimizer, mean.optimizer_s},
          {"other", colour::kOther, std::max(0.0, run.summary.other_s())}};
}

std::vector<StepPart> mean_step(const scaling::RunGroup& group, const std::vector<budget::Efficiency>& runs) {
  std::vector<StepPart> mean;
  double count = 0;
  for (const std::size_t i : group.runs) {
    if (!runs[i].has_steps()) continue;
    const auto parts = mean_step(runs[i]);
    if (mean.empty()) mean = std::vector<StepPart>(parts.size());
    for (std::size_t p = 0; p < parts.size(); ++p)
      mean[p] = {parts[p].name, parts[p].colour, mean[p].seconds + parts[p].seconds};
    ++count;
  }
  for (auto& part : mean) part.seconds /= count;
  return mean;
}

std::string breakdown_figure(const std::vector<budget::Efficiency>& runs,
                             const std::vector<scaling::RunGroup>& groups) {
  std::map<std::size_t, std::vector<std::vector<double>>> boxes;
  std::vector<StepPart> names;
  std::string tics;
  double longest_ms = 0;
  std::size_t shown = 0;
  for (const auto& group : groups) {
    const auto parts = mean_step(group, runs);
    if (parts.empty()) continue;
    const double y = -static_cast<double>(shown++);
    double at_ms = 0;
    names = parts;
    for (std::size_t p = 0; p < names.size(); ++p) {
      const double ms = 1e3 * names[p].seconds;
      boxes[p].push_back(box(at_ms, at_ms + ms, y, 0.62));
      at_ms += ms;
    }
    longest_ms = std::max(longest_ms, at_ms);
    tics += fmt::format("{}{} {}", tics.empty() ? "" : ", ", quoted(scaling::label_with_count(group)), y);
  }
  if (names.empty()) return "";
  Plot plot(kFigureWidth, 120 + 44 * static_cast<int>(shown));
  plot.line("set xlabel 'mean steady step (ms)'")
      .line("set key at screen 0.985,screen 0.98 right top vertical maxrows 2 samplen 1.2")
      .line("set tmargin 4");
  plot.line("set border 1").line("unset grid").line(fmt::format("set grid x back lc rgb '{}' lt 1", colour::kGrid));
  plot.line("set ytics (" + tics + ") scale 0")
      .line(fmt::format("set yrange [{}:0.5]", 0.5 - static_cast<double>(shown)));
  plot.line(fmt::format("set xrange [0:{}]", std::max(1e-3, longest_ms * 1.03)));
  std::string command;
  for (std::size_t p = 0; p < names.size(); ++p) {
    plot.data(fmt::format("part{}", p), boxes[p]);
    command +=
        fmt::format("{}$part{} {} lc rgb '{}' title '{}'", p ? ", " : "", p, kBoxes, names[p].colour, names[p].name);
  }
  plot.line("plot " + command);
  return plot.svg("fig-breakdown", "Mean step time by part");
}

std::string straggler_figure(const std::vector<runlog::Run>& runs) {
  const runlog::Run* run = widest(runs, has_steady_rank_times);
  if (run == nullptr) return "";
  const auto ranks = static_cast<std::size_t>(run->info.world_size);
  const auto sampled = steady_rank_rows(*run);
  std::vector<std::vector<double>> rows;
  std::vector<double> medians;
  double low = INFINITY, high = 0;
  for (std::size_t rank = 0; rank < ranks; ++rank) {
    std::vector<double> ms;
    for (const std::size_t row : sampled)
      ms.push_back(1e3 * static_cast<double>(run->rank_step_time_s[row * ranks + rank]));
    medians.push_back(quantile(ms, 0.5));
    rows.push_back({static_cast<double>(rank), medians.back(), quantile(ms, 0.05), quantile(ms, 0.95)});
    low = std::min(low, rows.back()[2]);
    high = std::max(high, rows.back()[3]);
  }
  if (ranks > kMostPlaces) {  // of neighbours the fastest and the slowest
    std::vector<std::vector<double>> shown;
    for (const std::size_t rank : extremes(medians, kMostPlaces / 2)) shown.push_back(rows[rank]);
    rows = std::move(shown);
  }
  Plot plot(kFigureWidth, 280);
  plot.data("ranks", rows).line("set xlabel 'rank'").line("set ylabel 'own busy time per step (ms)'");
  plot.line(fmt::format("set xrange [-0.6:{}]", static_cast<double>(ranks) - 0.4))
      .line(fmt::format("set yrange [{}:{}]", low - 0.15 * (high - low) - 0.02 * low,
                        high + 0.35 * (high - low) + 0.02 * low + 1e-3));
  if (ranks <= 16) plot.line("set xtics 1");
  const double middle = quantile(medians, 0.5);
  plot.line(fmt::format("set arrow 1 from graph 0,first {0} to graph 1,first {0} nohead lc rgb '{1}' dt (6,5) back",
                        middle, colour::kMuted));
  plot.line(
      fmt::format("plot $ranks using 1:2:3:4 with yerrorbars pt 7 ps 0.7 lw 1.6 lc rgb '{}' title 'median, "
                  "5-95 % of steps'",
                  colour::kBackward));
  return plot.svg("fig-stragglers", "Busy time of every rank");
}

std::string bucket_figure(const std::vector<runlog::Run>& runs) {
  const runlog::Run* run =
      widest(runs, [](const runlog::Run& r) { return r.info.world_size > 1 && !r.buckets.empty(); });
  if (run == nullptr) return "";
  const std::int64_t step = sampled_step(*run);
  std::vector<std::vector<double>> waiting, reducing;
  double end_ms = 0;
  std::size_t buckets = 0;
  for (const auto& b : run->buckets) {
    if (b.step != step || ++buckets > kMostPlaces) continue;
    const double y = -1.0 - static_cast<double>(waiting.size());
    waiting.push_back(box(1e3 * b.ready_s, 1e3 * b.start_s, y, 0.3));
    reducing.push_back(box(1e3 * b.start_s, 1e3 * b.end_s, y, 0.62));
    end_ms = std::max(end_ms, 1e3 * b.end_s);
  }
  Plot plot(kFigureWidth, std::min(640, 150 + 22 * static_cast<int>(waiting.size() + 1)));
  plot.line(fmt::format("set xlabel 'time since the start of step {} (ms){}'", step,
                        buckets > kMostPlaces ? fmt::format("; the first {} of {} buckets", kMostPlaces, buckets) : ""))
      .line("set border 1")
      .line("unset grid");
  plot.line(fmt::format("set grid x back lc rgb '{}' lt 1", colour::kGrid))
      .line("set key outside top center horizontal samplen 1.2 height 0.5");
  std::string command;
  if (const auto* record = run->find(step)) {
    const std::pair<double, StepPart> parts[] = {{record->data_s, {"data", colour::kData, 0}},
                                                 {record->forward_s, {"forward", colour::kForward, 0}},
                                                 {record->backward_s, {"backward", colour::kBackward, 0}},
                                                 {record->exposed_comm_s, {"exposed", colour::kExposed, 0}},
                                                 {record->optimizer_s, {"optimizer", colour::kOptimizer, 0}}};
    double at_ms = 0;
    for (const auto& [seconds, part] : parts) {
      plot.data(fmt::format("step_{}", part.name), {box(at_ms, at_ms + 1e3 * seconds, 0, 0.62)});
      command += fmt::format("$step_{} {} lc rgb '{}' title '{}', ", part.name, kBoxes, part.colour, part.name);
      at_ms += 1e3 * seconds;
    }
    end_ms = std::max(end_ms, at_ms);
  }
  const std::size_t every = waiting.size() / 24 + 1;
  std::string tics = "'step' 0";
  for (std::size_t i = 0; i < waiting.size(); i += every)
    tics += fmt::format(", 'bucket {}' {}", i, -1.0 - static_cast<double>(i));
  plot.line("set ytics (" + tics + ") scale 0");
  plot.line(fmt::format("set yrange [{}:0.6]", -0.6 - static_cast<double>(waiting.size())))
      .line(fmt::format("set xrange [0:{}]", std::max(1e-3, 1.03 * end_ms)));
  plot.data("waiting", waiting).data("reducing", reducing);
  plot.line(
      fmt::format("plot {0} $waiting {1} lc rgb '{2}' title 'ready, waiting', $reducing {1} lc rgb '{3}' "
                  "title 'all-reduce'",
                  command, kBoxes, colour::kOther, "#7a6a9b"));
  return plot.svg("fig-buckets", "Gradient buckets of one step against time");
}

}  // namespace gpumonth::report
