// The ladder as a waterfall, and the per-output comparison; both on logarithmic axes.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/format.h"
#include "report/figures.h"
#include "report/html.h"
#include "report/svg.h"

namespace gpumonth::report {
namespace {

constexpr double kRungThickness = 0.52;

void set_rows(Plot& plot, const std::vector<std::string>& names) {
  std::string tics;
  for (std::size_t i = 0; i < names.size(); ++i)
    tics += fmt::format("{}{} {}", i ? ", " : "", quoted(names[i]), row(i));
  plot.line("set border 1").line("unset grid").line(fmt::format("set grid x back lc rgb '{}' lt 1", colour::kGrid));
  plot.line(fmt::format("set ytics ({}) scale 0 textcolor rgb '{}'", tics, colour::kInk));
  plot.line(fmt::format("set yrange [{}:0.7]", row(names.size()) + 0.3)).line("set logscale x").line("unset key");
}

/// Only powers of ten where 1, 2 and 5 times them would be crowded.
std::string one_two_five(double low, double high) {
  return decade_tics(low, high, high / low > 3000 ? std::vector<double>{1} : std::vector<double>{1, 2, 5});
}

std::string arrow(double x, double y0, double y1) {
  return fmt::format("set arrow from first {:.9g},first {} to first {:.9g},first {} nohead lc rgb '{}' dt (4,4) back",
                     x, y0, x, y1, colour::kMuted);
}

std::string factor_label(const budget::Rung& rung, const budget::Rung& before) {
  const budget::Number factor = rung.factor_over(before);
  return "× " + factor_text(factor.low, factor.high, " – ");
}

}  // namespace

std::string ladder_figure(const budget::Budget& budget) {
  if (budget.rungs.empty()) return "";
  Plot plot(kFigureWidth, 110 + 58 * static_cast<int>(budget.rungs.size()));
  std::vector<std::string> names;
  std::vector<std::vector<double>> boxes;
  double low = INFINITY, high = 0;
  for (const auto& rung : budget.rungs)  // a logarithmic axis has no 0, where a range may begin
    low = std::min(low, rung.gpu_months.low > 0 ? rung.gpu_months.low : rung.gpu_months.high / 100);
  for (std::size_t i = 0; i < budget.rungs.size(); ++i) {
    const budget::Rung& rung = budget.rungs[i];
    budget::Number months = rung.gpu_months;
    months.low = std::max(months.low, low);
    names.emplace_back(name(rung.id));
    high = std::max(high, months.high);
    // A range without width still has to be seen.
    const double left = months.is_range() ? months.low : months.low * 0.985,
                 right = months.is_range() ? months.high : months.high * 1.015;
    boxes.push_back({std::sqrt(left * right), row(i), left, right, row(i) - kRungThickness / 2,
                     row(i) + kRungThickness / 2, static_cast<double>(i)});
    std::string text = html::dashes(range_text(months, grouped));
    if (i > 0) text += "     " + factor_label(rung, budget.rungs[i - 1]);
    plot.label(text, fmt::format("first {:.9g},first {}", right, row(i)),
               fmt::format("offset 1,0 textcolor rgb '{}'", colour::kInk));
    if (i + 1 < budget.rungs.size())
      for (const double x : {months.low, months.high})
        plot.line(arrow(x, row(i) - kRungThickness / 2, row(i + 1) + kRungThickness / 2));
  }
  set_rows(plot, names);
  plot.line(fmt::format("set xlabel {}", quoted(fmt::format("GPU-months of the {}", budget.scenario.hardware.name))));
  const double left = low / 1.6, right = high * std::pow(high / low, 0.45) * 1.5;
  plot.line(fmt::format("set xrange [{:.9g}:{:.9g}]", left, right))
      .line("set xtics (" + one_two_five(left, right) + ")");
  plot.data("rungs", boxes);
  plot.line(fmt::format(
      "plot $rungs using 1:2:3:4:5:6 every ::0::{0} with boxxyerror lc rgb '{1}', $rungs using "
      "1:2:3:4:5:6 every "
      "::{2} with boxxyerror lc rgb '{3}'",
      std::max<int>(0, static_cast<int>(boxes.size()) - 2), colour::kForward, boxes.size() - 1, colour::kBackward));
  return plot.svg("fig-ladder", "The ladder of assumptions, GPU-months per rung");
}

std::string outputs_figure(const budget::Budget& budget) {
  const auto found = std::find_if(budget.groups.begin(), budget.groups.end(),
                                  [](const budget::Group& g) { return g.id == "outputs"; });
  if (found == budget.groups.end()) return "";
  Plot plot(kFigureWidth, 100 + 36 * static_cast<int>(found->lines.size()));
  std::vector<std::string> names;
  std::vector<std::vector<double>> published, assumed;
  double low = INFINITY, high = 0;
  for (std::size_t i = 0; i < found->lines.size(); ++i) {
    const budget::Number& number = found->lines[i].number;
    const double middle = std::sqrt(number.low * number.high);
    names.push_back(found->lines[i].label);
    low = std::min(low, middle);
    high = std::max(high, middle);
    (number.tag == budget::Tag::assumed ? assumed : published).push_back({middle, row(i)});
    plot.label(range_text(number, scientific), fmt::format("first {:.9g},first {}", middle, row(i)), "offset 1.2,0");
  }
  set_rows(plot, names);
  const double left = std::pow(10, std::floor(std::log10(low)));
  plot.line(fmt::format("set xrange [{:.9g}:{:.9g}]", left, high * 12))
      .line("set xlabel 'FLOP per output'")
      .line("set format x '1e%L'");
  plot.line("set key outside top right horizontal samplen 1");
  std::string command;
  const auto add = [&](const char* block, const std::vector<std::vector<double>>& rows, const char* colour,
                       const char* title) {
    if (rows.empty()) return;
    plot.data(block, rows);
    command += fmt::format(
        "{0}${1} using ({2:.9g}):2:($1-{2:.9g}):(0) with vectors nohead lw 2 lc rgb '{3}' notitle, ${1} "
        "using 1:2 "
        "with points pt 7 ps 1 lc rgb '{3}' title '{4}'",
        command.empty() ? "" : ", ", block, left, colour, title);
  };
  add("published", published, colour::kForward, "from published numbers");
  add("assumed", assumed, colour::kExposed, "counted on an assumed model");
  plot.line("plot " + command);
  return plot.svg("fig-outputs", "FLOP per output on a logarithmic scale");
}

}  // namespace gpumonth::report
