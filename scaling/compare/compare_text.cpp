// A comparison for people.
#include <fmt/format.h>

#include <cmath>

#include "base/format.h"
#include "scaling/compare/compare.h"

namespace gpumonth::scaling {
namespace {

using Rows = std::vector<std::vector<std::string>>;

/// Cells to the right, a rule below the first row.
std::string table(const Rows& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (i == widths.size()) widths.push_back(0);
      widths[i] = std::max(widths[i], row[i].size());
    }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) line += fmt::format("{:>{}}", row[i], widths[i] + (i ? 2 : 0));
    text += line + "\n";
    if (&row == &rows.front()) text += std::string(line.size(), '-') + "\n";
  }
  return text;
}

std::string points(double fraction) { return fmt::format("{:+.2f}", 100 * fraction); }
std::string percent2(double fraction) { return fmt::format("{:.2f} %", 100 * fraction); }
std::string ms(double seconds) { return fmt::format("{:.3f}", 1e3 * seconds); }
std::string batch_text(double batch) { return std::isnan(batch) ? "n/a" : fmt::format("{:g}", batch); }
std::string p_text(double p) { return p < 1e-4 ? "< 0.0001" : fmt::format("{:.4f}", p); }

std::string set_text(const char* letter, const RunSet& set, const CompareNoise& noise) {
  const char* tag = noise.source == NoiseSource::measured ? "measured" : "assumed";
  std::string text = fmt::format("{}  {}: {} runs; they differ by {} ({}, {:g} degrees of freedom)", letter, set.name,
                                 set.runs.size(), percent2(noise.run_to_run), tag, noise.freedom);
  if (!std::isnan(noise.measured.within))
    text += fmt::format("; their own steps explain {}", percent2(noise.measured.within));
  return text + "\n";
}

std::string efficiency_table(const Comparison& c) {
  Rows rows = {{"ranks", "batch/rank", "runs A, B", "efficiency A", "efficiency B", "A - B (points)", "90 % interval",
                "p", "finds"}};
  for (const auto& r : c.rows) {
    std::vector<std::string> row = {std::to_string(r.ranks), batch_text(r.batch_per_rank),
                                    fmt::format("{}, {}", r.a.runs, r.b.runs), percent2(r.a.efficiency),
                                    percent2(r.b.efficiency)};
    if (r.is_baseline) {
      row.insert(row.end(), {"baseline", "", "", ""});
    } else {
      row.insert(row.end(),
                 {points(r.difference), fmt::format("{} .. {}", points(r.low), points(r.high)), p_text(r.p_value),
                  std::isnan(r.smallest_difference) ? "n/a" : fmt::format("{:.2f}", 100 * r.smallest_difference)});
    }
    rows.push_back(row);
  }
  return table(rows);
}

std::string throughput_table(const Comparison& c) {
  Rows rows = {{"ranks", "batch/rank", c.a.unit + " per rank: A", "B", "A / B", "90 % interval"}};
  for (const auto& r : c.rows)
    rows.push_back({std::to_string(r.ranks), batch_text(r.batch_per_rank),
                    fmt::format("{:.5g}", r.a.samples_per_s_per_rank),
                    fmt::format("{:.5g}", r.b.samples_per_s_per_rank), fmt::format("{:.4f}", r.throughput_ratio),
                    fmt::format("{:.4f} .. {:.4f}", r.ratio_low, r.ratio_high)});
  return table(rows);
}

std::string verdict(const char* what, const CompareTest& t) {
  std::string text = fmt::format(
      "{}: A is at {:.4f} of B, 90 % interval {:.4f} .. {:.4f} (mean over {} points). p = {}: {} at the 10 % "
      "level.",
      what, t.ratio, t.low, t.high, t.any_pattern.contrasts, p_text(t.p_value),
      t.p_value < kTestLevel ? "the sets differ" : "no difference was found");
  text += std::isnan(t.smallest_difference) ? " There are too few repeats to state the power."
                                            : fmt::format(" This test finds {} with 80 % power, and 3 % with {:.0f} %.",
                                                          percent2(t.smallest_difference), 100 * t.power_at_3_percent);
  return text + fmt::format(" Any pattern over the points: p = {} (F = {:.3g}; {}, {:.3g} degrees of freedom).",
                            p_text(t.any_pattern.p_value), t.any_pattern.statistic, t.any_pattern.contrasts,
                            t.any_pattern.freedom);
}

std::string shares_table(const Comparison& c) {
  Rows rows = {{"ranks", "batch/rank", "set", "step (ms)"}};
  for (const char* name : kStepShareNames) rows.front().push_back(name);
  for (const auto& r : c.rows) {
    const auto side = [&](const char* letter, const CompareSide& s) {
      if (!s.shares) return;
      rows.push_back({std::to_string(r.ranks), batch_text(r.batch_per_rank), letter, ms(s.step_time_s)});
      for (const double seconds : *s.shares) rows.back().push_back(ms(seconds));
    };
    side("A", r.a);
    side("B", r.b);
    if (!r.contributions) continue;
    rows.push_back({"", "", "A - B", points(r.difference)});
    for (const double part : *r.contributions) rows.back().push_back(points(part));
  }
  return rows.size() == 1 ? "" : table(rows);
}

std::string paragraph(const std::string& text) {
  std::string out;
  for (const auto& line : wrap(text, 118)) out += line + "\n";
  return out;
}

}  // namespace

std::string to_text(const Comparison& c) {
  std::string text = set_text("A", c.a, c.noise_a) + set_text("B", c.b, c.noise_b);
  text +=
      "\nEfficiency: throughput per rank over the same at the fewest ranks; `finds`: the difference in "
      "points found with 80 % power\n";
  text += efficiency_table(c) + "\n" + paragraph(verdict("Efficiency", c.efficiency));
  text += "\nThroughput at equal ranks\n" + throughput_table(c) + "\n" + paragraph(verdict("Throughput", c.throughput));
  if (const std::string shares = shares_table(c); !shares.empty())
    text +=
        "\nWhere it comes from: ms of a step; rows A - B: points of the efficiency's difference; both sum to "
        "the fourth column\n" +
        shares;
  if (!c.notes.empty()) text += "\n";
  for (const auto& note : c.notes) text += paragraph("note: " + note);
  return text;
}

}  // namespace gpumonth::scaling
