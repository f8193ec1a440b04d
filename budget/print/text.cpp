// The budget for a terminal of 100 columns.
#include <fmt/format.h>

#include "base/format.h"
#include "budget/budget.h"
#include "budget/print/text_parts.h"

namespace gpumonth::budget {
namespace {

constexpr std::size_t kWidth = 100, kIndent = 16;
constexpr const char* kLadderRow = "{:<23}{:>10} {:>10} {:>22}   {:<16} {}";

void add_wrapped(std::string& out, const char* head, const std::string& text) {
  std::string lead = fmt::format("    {:<{}}", head, kIndent - 4);
  for (const auto& line : wrap(text, kWidth - kIndent)) {
    out += lead + line + "\n";
    lead.assign(kIndent, ' ');
  }
}

void add_heading(std::string& out, const std::string& text) { out += heading(text); }

std::string against_before(const Rung& rung, const Rung* before) {
  if (before == nullptr) return "";
  const Number factor = rung.factor_over(*before);
  return "x " + factor_text(factor.low, factor.high);
}

void add_ladder(std::string& out, const Budget& budget) {
  add_heading(out, fmt::format(kLadderRow, "The ladder: GPU-months", "low", "high", "90 % of the draws",
                               "against the rung", "weakest input"));
  const Rung* before = nullptr;
  for (const auto& rung : budget.rungs) {
    out += fmt::format(kLadderRow, name(rung.id), grouped(rung.gpu_months.low), grouped(rung.gpu_months.high),
                       fmt::format("{} .. {}", grouped(rung.draws.low), grouped(rung.draws.high)),
                       against_before(rung, before), name(rung.gpu_months.tag)) +
           "\n";
    if (!rung.replaces.empty()) add_wrapped(out, "instead of", rung.replaces);
    add_wrapped(out, before ? "now" : "assumes", rung.replacement);
    before = &rung;
  }
  if (before != nullptr && before->is_drawn())
    out += fmt::format("Median of the last rung: {} GPU-months\n", grouped(before->draws.median));
}

void add_data(std::string& out, const Budget& budget) {
  if (!budget.data) return;
  const DataRules& data = *budget.data;
  add_heading(out,
              fmt::format("{:<44}{:>16}{:>24}", fmt::format("By either rule of the data, GPU-months ({})", data.rung),
                          "median", "90 % of the draws"));
  for (const auto& side : data.sides)
    out += fmt::format("training.data = {:<28}{:>16}{:>24}{}\n", fmt::format("\"{}\"", side.rule),
                       grouped(side.gpu_months.median),
                       fmt::format("{} .. {}", grouped(side.gpu_months.low), grouped(side.gpu_months.high)),
                       side.rule == data.chosen ? "   chosen" : "");
  for (const auto& line : wrap(data.why, kWidth)) out += line + "\n";
}

/// "7.6 M images", "5.04 min per H100-hour"; `device` is the first word of the device's name.
std::string value_text(const Number& number, const std::string& device) {
  const bool flop = number.unit == "FLOP" || number.unit == "MAC";
  if (number.unit == "1" && number.high <= 1) return range_text(number, percent);
  if (number.unit == "MWh" && number.low >= 1000) return range_text(number / exactly(1000), compact) + " GWh";
  std::string unit = number.unit == "1" ? "" : number.unit;
  if (unit == "min/h") unit = fmt::format("min per {}-hour", device);
  if (unit == "min") unit = "minutes";
  for (const char* counted : {"image", "sample", "token", "day", "GPU", "GPU-hour", "GPU-day", "GPU-month"})
    if (unit == counted) unit += "s";
  return range_text(number, flop ? scientific : unit == "USD" ? money : compact) + " " + unit;
}

}  // namespace

std::string value_with_unit(const Budget& budget, const Number& number) {
  const std::string& device = budget.scenario.hardware.name;
  return value_text(number, device.substr(0, device.find(' ')));
}

namespace {

void add_group(std::string& out, const Group& group, const Budget& budget) {
  add_heading(out, group.title);
  for (const auto& line : group.lines)
    out += fmt::format("{:<52} {:<36} {}\n", line.label, value_with_unit(budget, line.number), name(line.number.tag));
}

void add_runs(std::string& out, const Budget& budget) {
  add_heading(out, fmt::format("{:<38}{:>6}{:>7}{:>11}{:>13}{:>8}{:>17}", "Run logs", "ranks", "steps", "step ms",
                               "GFLOP/s", "MFU", "90 % interval"));
  for (const auto& run : budget.runs) {
    std::string path = run.path;
    if (path.size() > 37) path = "..." + path.substr(path.size() - 34);
    out += fmt::format("{:<38}{:>6}{:>7}", path, run.ranks, run.steps);
    out += run.has_steps()
               ? fmt::format("{:>11.1f}{:>13.1f}", run.summary.mean.step_time_s * 1e3, run.flops_per_s / 1e9)
               : fmt::format("{:>11}{:>13}", "n/a", "n/a");
    if (run.has_mfu())
      out += fmt::format(
          "{:>8}{:>17}\n", percent(run.mfu),
          run.has_interval() ? fmt::format("{:.1f} .. {:.1f} %", 100 * run.mfu_low, 100 * run.mfu_high) : "n/a");
    else
      out += "     n/a\n";
  }
}

}  // namespace

std::string heading(const std::string& text) { return "\n" + text + "\n" + std::string(kWidth, '-') + "\n"; }

std::string to_text(const Budget& budget) {
  const Scenario& s = budget.scenario;
  std::string out = s.title + "\n";
  for (const auto& line : wrap(s.summary, kWidth)) out += line + "\n";
  out += fmt::format("{}\n{}, {} TFLOP/s dense bf16; a GPU-month has {} days\n", s.path, s.hardware.name,
                     s.hardware.peak_flops_per_s / 1e12, range_text(s.at("time.days_per_month"), compact));
  add_ladder(out, budget);
  add_data(out, budget);
  if (!budget.runs.empty()) add_runs(out, budget);
  out += sweep_text(budget) + shares_text(budget);
  for (const auto& group : budget.groups) add_group(out, group, budget);
  if (!budget.notes.empty()) {
    add_heading(out, "Notes");
    for (const auto& note : budget.notes)
      for (const auto& line : wrap(note, kWidth)) out += line + "\n";
  }
  return out;
}

}  // namespace gpumonth::budget
