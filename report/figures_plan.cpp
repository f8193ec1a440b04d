// What the range of the result comes from, as a tornado; and the same training on several numbers of GPUs.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/format.h"
#include "budget/print/input_words.h"
#include "report/figures.h"
#include "report/svg.h"

namespace gpumonth::report {
namespace {

constexpr std::size_t kMostBars = 10;
constexpr double kShareThickness = 0.56;

std::string ticks(double low, double high) {
  if (high / low > 300) return decade_tics(low, high, {1});
  if (high / low < 8) return decade_tics(low, high, {1, 1.5, 2, 3, 4, 5, 7});
  return decade_tics(low, high, {1, 2, 3, 5});
}

/// For the tornado, whose names leave the axis a third of the width.
std::string few_ticks(double low, double high) {
  if (high / low > 30) return decade_tics(low, high, {1});
  if (high / low < 3) return decade_tics(low, high, {1, 1.5, 2, 3, 5, 7});
  return decade_tics(low, high, {1, 3});
}

/// A band of low .. high over the number of GPUs, and its median.
std::string band_figure(const budget::Budget& budget, const char* id, const char* title, const char* unit,
                        budget::Number budget::SweepRow::*range, double budget::SweepRow::*median) {
  std::vector<std::vector<double>> rows;
  std::string gpus;
  double low = INFINITY, high = 0;
  for (const auto& r : budget.sweep) {
    if (!r.refused.empty()) continue;
    rows.push_back({static_cast<double>(r.gpus), (r.*range).low, r.*median, (r.*range).high});
    gpus += fmt::format("{}{} {}", gpus.empty() ? "" : ", ", quoted(grouped(static_cast<double>(r.gpus))), r.gpus);
    low = std::min(low, rows.back()[1]);
    high = std::max(high, rows.back()[3]);
  }
  if (rows.size() < 2) return "";
  Plot plot(480, 340);
  plot.data("band", rows).line("set logscale xy").line("unset key");
  plot.line(fmt::format("set xrange [{:.9g}:{:.9g}]", rows.front()[0] / 1.15, rows.back()[0] * 1.15));
  plot.line(fmt::format("set yrange [{:.9g}:{:.9g}]", low / 1.25, high * 1.25));
  plot.line("set xtics (" + gpus + ")").line("set ytics (" + ticks(low / 1.25, high * 1.25) + ")");
  plot.line("set xlabel 'GPUs'").line(fmt::format("set ylabel {}", quoted(unit)));
  plot.line(
      fmt::format("plot $band using 1:2:4 with filledcurves lc rgb '{}' fs solid 0.35, $band using 1:3 with "
                  "linespoints pt 7 ps 0.7 lw 2 lc rgb '{}'",
                  colour::kForward, colour::kBackward));
  return plot.svg(id, title);
}

}  // namespace

std::string tornado_figure(const budget::Budget& budget) {
  if (budget.months_shares.empty()) return "";
  auto shares = budget.months_shares;
  std::stable_sort(shares.begin(), shares.end(), [](const auto& a, const auto& b) {
    return a.share.high / a.share.low > b.share.high / b.share.low;
  });
  shares.resize(std::min(shares.size(), kMostBars));
  const double middle = shares.front().share.middle;
  Plot plot(kFigureWidth, 110 + 34 * static_cast<int>(shares.size()));
  std::vector<std::vector<double>> below, above;
  std::string names;
  double low = middle, high = middle;
  for (std::size_t i = 0; i < shares.size(); ++i) {
    const budget::VarianceShare& share = shares[i].share;
    names += fmt::format("{}{} {}", i ? ", " : "", quoted(budget::input_words(share.input)), row(i));
    const double y0 = row(i) - kShareThickness / 2, y1 = row(i) + kShareThickness / 2;
    below.push_back({share.low, row(i), share.low, std::clamp(middle, share.low, share.high), y0, y1});
    above.push_back({share.high, row(i), std::clamp(middle, share.low, share.high), share.high, y0, y1});
    plot.label(share.first_order < 0.005 ? std::string("below 1 %") : fmt::format("{:.0f} %", 100 * share.first_order),
               fmt::format("first {:.9g},first {}", share.high, row(i)),
               fmt::format("offset 1,0 textcolor rgb '{}'", colour::kInk));
    low = std::min(low, share.low);
    high = std::max(high, share.high);
  }
  const double left = low / 1.12, right = high * std::pow(high / low, 0.3) * 1.12;
  plot.data("below", below).data("above", above);
  plot.line("set border 1").line("unset grid").line("set logscale x").line("unset key");
  plot.line(fmt::format("set ytics ({}) scale 0 textcolor rgb '{}'", names, colour::kInk));
  plot.line(fmt::format("set yrange [{}:0.7]", row(shares.size()) + 0.3));
  plot.line(fmt::format("set xrange [{:.9g}:{:.9g}]", left, right)).line("set xtics (" + few_ticks(left, right) + ")");
  plot.line(fmt::format("set xlabel {}", quoted(fmt::format("GPU-months of the {}", budget.scenario.hardware.name))));
  plot.line(
      fmt::format("set arrow from first {0:.9g},graph 0 to first {0:.9g},graph 1 nohead lc rgb '{1}' dt (4,4) back",
                  middle, colour::kMuted));
  plot.line(
      fmt::format("plot $below using 1:2:3:4:5:6 with boxxyerror lc rgb '{}', $above using 1:2:3:4:5:6 with "
                  "boxxyerror lc rgb '{}'",
                  colour::kForward, colour::kBackward));
  return plot.svg("fig-tornado", "Which input the range of the GPU-months comes from");
}

std::string backtest_figure(const budget::Backtest& backtest) {
  std::vector<std::vector<double>> rows;
  std::string names;
  double low = INFINITY, high = 0;
  for (std::size_t i = 0; i < backtest.rows.size(); ++i) {
    const auto& r = backtest.rows[i];
    rows.push_back({r.ratio(), row(i), r.low_hours / r.disclosed_hours, r.high_hours / r.disclosed_hours});
    names += fmt::format("{}{} {}", i ? ", " : "", quoted(r.title), row(i));
    low = std::min(low, rows.back()[2]);
    high = std::max(high, rows.back()[3]);
  }
  Plot plot(kFigureWidth, 110 + 26 * static_cast<int>(rows.size()));
  plot.data("rows", rows).line("set border 1").line("unset grid").line("set logscale x").line("unset key");
  plot.line(fmt::format("set ytics ({}) scale 0 textcolor rgb '{}'", names, colour::kInk));
  plot.line(fmt::format("set yrange [{}:0.7]", row(rows.size()) + 0.3));
  plot.line(fmt::format("set xrange [{:.9g}:{:.9g}]", std::min(0.4, low / 1.2), std::max(2.5, high * 1.2)));
  plot.line("set xtics ('1/10' 0.1, '1/5' 0.2, '1/2' 0.5, '1' 1, '2' 2, '5' 5, '10' 10)");
  plot.line("set xlabel 'predicted over disclosed GPU-hours'");
  plot.line(fmt::format("set arrow from first 1,graph 0 to first 1,graph 1 nohead lc rgb '{}' dt (4,4) back",
                        colour::kMuted));
  plot.line(
      fmt::format("plot $rows using 3:2:($4-$3):(0) with vectors nohead lw 6 lc rgb '{}', $rows using 1:2 with points "
                  "pt 7 ps 0.8 lc rgb '{}'",
                  colour::kForward, colour::kBackward));
  return plot.svg("fig-backtest", "Predicted over disclosed GPU-hours of known trainings");
}

std::string sweep_months_figure(const budget::Budget& budget) {
  return band_figure(budget, "fig-sweep-months", "GPU-months against the number of GPUs", "GPU-months",
                     &budget::SweepRow::gpu_months, &budget::SweepRow::gpu_months_median);
}

std::string sweep_days_figure(const budget::Budget& budget) {
  return band_figure(budget, "fig-sweep-days", "Days against the number of GPUs", "days", &budget::SweepRow::days,
                     &budget::SweepRow::days_median);
}

}  // namespace gpumonth::report
