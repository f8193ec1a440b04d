// Throughput and efficiency against ranks. Runs that belong on one curve (measured_run.h) are one series, or
// where they were scaled in several ways one for each batch per rank (weak scaling) and each global batch
// (strong scaling). Its ideal is the mean throughput per GPU, or CPU thread, of its runs with the fewest ranks.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "report/figures.h"
#include "report/svg.h"

namespace gpumonth::report {
namespace {

struct Series {
  std::string name;
  budget::Runs runs = {};  // by ranks
  double per_unit = 0;     // baseline samples/s of one GPU or thread
  int fewest = 0, most = 0;
};

double units(const budget::Efficiency& run) { return static_cast<double>(run.ranks) * run.units_per_rank; }

bool has_two_rank_counts(const budget::Runs& runs) {
  return std::any_of(runs.begin(), runs.end(), [&](auto* run) { return run->ranks != runs.front()->ranks; });
}

Series finished(std::string name, budget::Runs runs) {
  Series series{.name = std::move(name), .runs = std::move(runs)};
  std::sort(series.runs.begin(), series.runs.end(), [](auto* a, auto* b) { return a->ranks < b->ranks; });
  series.fewest = series.runs.front()->ranks;
  series.most = series.runs.back()->ranks;
  double count = 0;
  for (const auto* run : series.runs) {
    if (run->ranks != series.fewest) continue;
    series.per_unit += run->samples_per_s / units(*run);
    ++count;
  }
  series.per_unit /= count;
  return series;
}

/// A run can stand in a weak and in a strong series.
void add_series(const std::string& name, const budget::Runs& runs, std::vector<Series>& all) {
  std::map<double, budget::Runs> weak;
  std::map<double, budget::Runs> strong;
  for (const auto* run : runs) {
    weak[run->global_batch / run->ranks].push_back(run);
    strong[run->global_batch].push_back(run);
  }
  std::erase_if(weak, [](const auto& entry) { return !has_two_rank_counts(entry.second); });
  std::erase_if(strong, [](const auto& entry) { return !has_two_rank_counts(entry.second); });
  if (weak.size() + strong.size() < 2) {
    all.push_back(finished(name, runs));
    return;
  }
  for (const auto& [batch, group] : weak)
    all.push_back(finished(fmt::format("{}, {:g} samples per rank", name, batch), group));
  for (const auto& [batch, group] : strong)
    all.push_back(finished(fmt::format("{}, {:g} samples in all", name, batch), group));
}

/// "dit-s-2, bf16", and what tells it from another group of that name: "dit-s-2, bf16, 2 threads per rank".
std::string series_name(const budget::Efficiency& run, const std::vector<budget::Runs>& groups) {
  std::string name = run.model_name + ", " + run.dtype;
  for (const auto& group : groups) {
    const budget::Efficiency& other = *group.front();
    if (other.model_name != run.model_name || other.dtype != run.dtype) continue;
    const auto differs = scaling::difference(run.facts, other.facts);
    if (!differs) continue;
    const std::string text = fmt::format(", {} {}", differs->what, differs->in_a);
    if (name.find(text) == std::string::npos) name += text;
  }
  return name;
}

std::vector<Series> make_series(const std::vector<budget::Efficiency>& runs) {
  const auto groups = budget::that_belong_together(runs, &budget::Efficiency::has_steps);
  std::vector<Series> all;
  for (const auto& group : groups) add_series(series_name(*group.front(), groups), group, all);
  return all;
}

/// Whether any series has two rank counts: single points say nothing about scaling.
bool has_a_slope(const std::vector<Series>& all) {
  return std::any_of(all.begin(), all.end(), [](const Series& s) { return s.fewest < s.most; });
}

/// The mean of `value` at every rank count: rows of (ranks, mean, lowest, highest).
template <class F>
std::vector<std::vector<double>> means(const Series& series, F value) {
  std::map<int, std::vector<double>> by_ranks;
  for (const auto* run : series.runs) by_ranks[run->ranks].push_back(value(*run));
  std::vector<std::vector<double>> rows;
  for (const auto& [ranks, values] : by_ranks) {
    double sum = 0;
    for (const double v : values) sum += v;
    rows.push_back({static_cast<double>(ranks), sum / static_cast<double>(values.size()),
                    *std::min_element(values.begin(), values.end()), *std::max_element(values.begin(), values.end())});
  }
  return rows;
}

void set_rank_axis(Plot& plot, const std::vector<Series>& all) {
  int fewest = all.front().fewest, most = all.front().most;
  for (const auto& series : all) {
    fewest = std::min(fewest, series.fewest);
    most = std::max(most, series.most);
  }
  plot.line("set xlabel 'ranks'").line("set key bottom right reverse Left samplen 1.8");
  if (most > 8) {
    plot.line("set logscale x 2").line(fmt::format("set xrange [{}:{}]", fewest / 1.2, most * 1.2));
  } else {
    plot.line("set xtics 1").line(fmt::format("set xrange [{}:{}]", fewest - 0.5, most + 0.5));
  }
}

}  // namespace

std::string throughput_figure(const std::vector<budget::Efficiency>& runs) {
  const auto all = make_series(runs);
  if (!has_a_slope(all)) return "";
  Plot plot(484, 320);
  set_rank_axis(plot, all);
  plot.line("set ylabel 'samples/s'").line("set yrange [0:*]");
  std::string command;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Series& s = all[i];
    plot.data(fmt::format("series{}", i), means(s, [](const budget::Efficiency& e) { return e.samples_per_s; }));
    plot.data(fmt::format("ideal{}", i), means(s, [&s](const budget::Efficiency& e) { return s.per_unit * units(e); }));
    command += fmt::format("{}$ideal{} using 1:2 with lines lc rgb '{}' lw 1.4 dt (6,5) {}, ", i ? ", " : "", i,
                           colour::kAxis, i ? "notitle" : "title 'ideal: linear'");
    command += fmt::format(
        "$series{0} using 1:2:3:4 with yerrorbars pt 0 lw 1.2 lc rgb '{1}' notitle, $series{0} using 1:2 "
        "with linespoints pt 7 ps 0.8 lw 2 lc rgb '{1}' title {2}",
        i, series_colour(i), quoted(s.name));
  }
  plot.line("plot " + command);
  return plot.svg("fig-throughput", "Throughput against ranks");
}

std::string efficiency_figure(const std::vector<budget::Efficiency>& runs) {
  const auto all = make_series(runs);
  if (!has_a_slope(all)) return "";
  Plot plot(484, 320);
  set_rank_axis(plot, all);
  plot.line("set ylabel 'efficiency (%)'");
  plot.line(
      fmt::format("set arrow 1 from graph 0,first 100 to graph 1,first 100 nohead lc rgb '{}' lw 1.4 dt (6,5) back",
                  colour::kAxis));
  std::string command;
  double highest = 100;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const double base = all[i].per_unit;
    const auto rows =
        means(all[i], [base](const budget::Efficiency& e) { return 100 * e.samples_per_s / units(e) / base; });
    for (const auto& row : rows) highest = std::max(highest, row[3]);
    plot.data(fmt::format("series{}", i), rows);
    command += fmt::format(
        "{0}$series{1} using 1:2:3:4 with yerrorbars pt 0 lw 1.2 lc rgb '{2}' notitle, $series{1} using "
        "1:2 with linespoints pt 7 ps 0.8 lw 2 lc rgb '{2}' title {3}",
        i ? ", " : "", i, series_colour(i), quoted(all[i].name));
  }
  plot.line(fmt::format("set yrange [0:{}]", 1.25 * highest));
  plot.line("plot " + command);
  return plot.svg("fig-efficiency", "Scaling efficiency against ranks");
}

}  // namespace gpumonth::report
