// For the terminal: the sweep over numbers of GPUs, and what the range of the result comes from.
#include <fmt/format.h>

#include <algorithm>

#include "base/format.h"
#include "budget/budget.h"
#include "budget/print/text_parts.h"

namespace gpumonth::budget {
namespace {

constexpr std::size_t kMostImportant = 3, kShown = 8;

std::string or_blank(const Number& number, std::string (*format)(double)) {
  return number.known() ? range_text(number, format) : "";
}

/// 90 % ranges of a table are narrow columns: "84 .. 93 %".
std::string percent_range(const Number& number) {
  if (!number.known()) return "";
  const auto digits = [](double x) { return fmt::format("{:.0f}", 100 * x); };
  const std::string low = digits(number.low), high = digits(number.high);
  return (low == high ? low : low + " .. " + high) + " %";
}

}  // namespace

std::string sweep_text(const Budget& budget) {
  if (budget.sweep.empty()) return "";
  std::string out = heading(fmt::format("{:>6}{:>7}{:>14}{:>14}{:>22}{:>18}{:>19}", "GPUs", "batch", "efficiency",
                                        "goodput", "GPU-months, 90 %", "days, 90 %", "USD, 90 %"));
  for (const auto& row : budget.sweep) {
    if (!row.refused.empty()) {
      std::string first = fmt::format("{:>6}  ", row.gpus);
      for (const auto& line : wrap(row.refused, 92)) out += first + line + "\n", first.assign(8, ' ');
      continue;
    }
    out += fmt::format("{:>6}{:>7}{:>14}{:>14}{:>22}{:>18}{:>19}\n", row.gpus, compact(row.global_batch),
                       percent_range(row.efficiency), percent_range(row.goodput), or_blank(row.gpu_months, compact),
                       or_blank(row.days, compact), or_blank(row.usd, money));
  }
  return out;
}

std::string most_important(const std::vector<InputShare>& shares, const char* separator,
                           std::string (*name)(const std::string& input)) {
  std::string text;
  for (std::size_t i = 0; i < std::min(kMostImportant, shares.size()); ++i)
    text += fmt::format("{}{} ({:.0f} %)", i ? separator : "",
                        name ? name(shares[i].share.input) : shares[i].share.input, 100 * shares[i].share.first_order);
  return text;
}

std::string shares_text(const Budget& budget) {
  if (budget.months_shares.empty()) return "";
  std::string out = heading(fmt::format("{:<34}{:>10}{:>18}{:>26}   {}", "What the range comes from", "variance",
                                        "with others", "GPU-months, 5 .. 95 %", "tag"));
  std::size_t shown = 0;
  for (const auto& [share, tag] : budget.months_shares) {
    if (++shown > kShown) break;
    out += fmt::format("{:<34}{:>8.1f} %{:>16.1f} %{:>26}   {}\n", share.input, 100 * share.first_order,
                       100 * share.total, fmt::format("{} .. {}", grouped(share.low), grouped(share.high)), name(tag));
  }
  const auto add_most = [&out](const char* of, const std::vector<InputShare>& shares) {
    for (const auto& line : wrap(fmt::format("Most of it, {}: {}", of, most_important(shares)), 100))
      out += line + "\n";
  };
  add_most("GPU-months", budget.months_shares);
  if (!budget.usd_shares.empty()) add_most("money", budget.usd_shares);
  return out;
}

}  // namespace gpumonth::budget
