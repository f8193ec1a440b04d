// The comparison as a figure: efficiency of both sets above, their difference below, with 90 % intervals.
#include "report/compare_figure.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "report/svg.h"

namespace gpumonth::report {
namespace {

using RowsOfBatch = std::vector<const scaling::CompareRow*>;  ///< rows of one batch per rank, by ranks

/// Rows by batch per rank; all together where every rank count has a single batch (strong scaling, or unknown).
std::vector<RowsOfBatch> lines_of(const scaling::Comparison& c) {
  std::map<double, RowsOfBatch> by_batch;
  bool single = true;
  for (std::size_t i = 1; i < c.rows.size(); ++i) single &= c.rows[i].ranks != c.rows[i - 1].ranks;
  for (const auto& row : c.rows) by_batch[single ? 0 : row.batch_per_rank].push_back(&row);
  std::vector<RowsOfBatch> lines;
  for (auto& [batch, line] : by_batch) lines.push_back(std::move(line));
  return lines;
}

std::string batch_label(const RowsOfBatch& line, std::size_t lines) {
  return lines > 1 ? fmt::format(", batch {:g}", line.front()->batch_per_rank) : "";
}

/// Lines of one panel do not hide each other: a little to the left or right of the rank count.
double beside(double ranks, std::size_t series, std::size_t count) {
  return ranks * std::pow(1.03, static_cast<double>(series) - 0.5 * static_cast<double>(count - 1));
}

void set_axis(Plot& plot, const scaling::Comparison& c) {
  const auto fewest = static_cast<double>(c.rows.front().ranks), most = static_cast<double>(c.rows.back().ranks);
  plot.line("set logscale x 2").line(fmt::format("set xrange [{}:{}]", fewest / 1.25, most * 1.25));
  std::string tics;
  for (std::size_t i = 0; i < c.rows.size(); ++i)
    if (i == 0 || c.rows[i].ranks != c.rows[i - 1].ranks)
      tics += fmt::format("{}{}", tics.empty() ? "" : ",", c.rows[i].ranks);
  plot.line("set xtics (" + tics + ")");
}

void reference_line(Plot& plot, double y) {
  plot.line(fmt::format("set arrow 1 from graph 0,first {} to graph 1,first {} nohead lc rgb '{}' lw 1.4 dt (6,5) back",
                        y, y, colour::kAxis));
}

std::string series_command(const std::string& data, const std::string& colour, const std::string& dash,
                           const std::string& title) {
  return fmt::format(
      "${0} using 1:2:3:4 with yerrorbars pt 0 lw 1.4 lc rgb '{1}' notitle, ${0} using 1:2 with linespoints "
      "pt 7 "
      "ps 0.7 lw 1.8 dt {2} lc rgb '{1}' title {3}",
      data, colour, dash, quoted(title));
}

/// The test's answer, for the figure's head.
std::string verdict(const scaling::CompareTest& t) {
  return fmt::format("A scales at {:.1f} % of B ({:.1f} .. {:.1f} %, 90 %); p = {}: {}", 100 * t.ratio, 100 * t.low,
                     100 * t.high, t.p_value < 1e-3 ? std::string("below 0.001") : fmt::format("{:.3f}", t.p_value),
                     t.p_value < scaling::kTestLevel ? "the sets differ" : "no difference was found");
}

/// The end of a long path.
std::string short_name(const std::string& name) {
  constexpr std::size_t kLongest = 52;
  return name.size() <= kLongest ? name : "..." + name.substr(name.size() - kLongest);
}

}  // namespace

std::string to_svg(const scaling::Comparison& c) {
  Plot plot(820, 680);
  const auto lines = lines_of(c);
  std::string efficiency, difference;
  double highest = 100, lowest = 100;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const RowsOfBatch& line = lines[i];
    std::vector<std::vector<double>> a, b, d;
    for (const auto* row : line) {
      const auto ranks = static_cast<double>(row->ranks);
      const auto add = [&](auto& rows, const scaling::CompareSide& s, std::size_t at) {
        rows.push_back({beside(ranks, at, 2 * lines.size()), 100 * s.efficiency, 100 * s.low, 100 * s.high});
        highest = std::max(highest, 100 * s.high);
        lowest = std::min(lowest, 100 * s.low);
      };
      add(a, row->a, 2 * i);
      add(b, row->b, 2 * i + 1);
      if (!row->is_baseline)
        d.push_back({beside(ranks, i, lines.size()), 100 * row->difference, 100 * row->low, 100 * row->high});
    }
    const std::string dash = i == 0 ? "1" : fmt::format("({},4)", 2 + 4 * i);
    plot.data(fmt::format("a{}", i), a).data(fmt::format("b{}", i), b);
    const std::string label = batch_label(line, lines.size());
    efficiency += (i ? ", " : "") + series_command(fmt::format("a{}", i), series_colour(0), dash, "A" + label) + ", " +
                  series_command(fmt::format("b{}", i), series_colour(1), dash, "B" + label);
    if (d.empty()) continue;
    plot.data(fmt::format("d{}", i), d);
    difference +=
        (difference.empty() ? "" : ", ") + series_command(fmt::format("d{}", i), colour::kInk, dash, "A - B" + label);
  }
  plot.line("set multiplot layout 2,1 margins 0.1,0.97,0.09,0.86 spacing 0.09");
  set_axis(plot, c);
  plot.label(verdict(c.efficiency), "screen 0.02,screen 0.965", fmt::format("textcolor rgb '{}'", colour::kInk));
  plot.label(fmt::format("A: {}", short_name(c.a.name)), "screen 0.02,screen 0.93",
             fmt::format("textcolor rgb '{}'", series_colour(0)));
  plot.label(fmt::format("B: {}", short_name(c.b.name)), "screen 0.52,screen 0.93",
             fmt::format("textcolor rgb '{}'", series_colour(1)));
  plot.line("set key bottom left reverse Left samplen 1.8").line("set ylabel 'efficiency (%)'");
  plot.line(fmt::format("set yrange [{}:{}]", lowest > 50 ? 10 * std::floor(lowest / 10 - 0.5) : 0, 1.02 * highest));
  reference_line(plot, 100);
  plot.line("plot " + efficiency).line("unset label");
  plot.line("set xlabel 'ranks'").line("set ylabel 'A - B (points), 90 %'").line("set yrange [*:*]");
  reference_line(plot, 0);
  plot.line("plot " + difference).line("unset multiplot");
  std::string svg = plot.svg("compare", "Scaling efficiency of two sets of runs, and their difference");
  svg.insert(4, " xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\"");
  return "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n" + svg + "\n";
}

}  // namespace gpumonth::report
