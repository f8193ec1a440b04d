#include "cli/output.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

namespace gpumonth::cli {
namespace {

/// Without an exponent, for 1 .. 9999.
std::string with_digits(double value, int significant_digits) {
  const double magnitude = std::fabs(value);
  const int before_point = magnitude < 10 ? 1 : magnitude < 100 ? 2 : magnitude < 1000 ? 3 : 4;
  return fmt::format("{:.{}f}", value, std::max(0, significant_digits - before_point));
}

std::string scaled(double value, double step, const std::vector<std::string>& prefixes, const std::string& unit,
                   int significant_digits) {
  std::size_t i = 0;
  while (std::fabs(value) >= step && i + 1 < prefixes.size()) {
    value /= step;
    ++i;
  }
  const bool whole = i == 0 && value == std::floor(value);
  const std::string number = whole ? fmt::format("{:.0f}", value) : with_digits(value, significant_digits);
  const std::string suffix = prefixes[i] + unit;
  return suffix.empty() ? number : number + " " + suffix;
}

}  // namespace

std::string si(double value, const std::string& unit, int significant_digits) {
  return scaled(value, 1000, {"", "k", "M", "G", "T", "P", "E", "Z", "Y"}, unit, significant_digits);
}

std::string binary_bytes(double bytes) { return scaled(bytes, 1024, {"B", "KiB", "MiB", "GiB", "TiB", "PiB"}, "", 4); }

std::string table_text(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    if (row.size() > widths.size()) widths.resize(row.size());
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::size_t rule = widths.empty() ? 0 : 2 * (widths.size() - 1);
  for (const std::size_t width : widths) rule += width;
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += i == 0 ? fmt::format("{:<{}}", row[i], widths[i]) : fmt::format("  {:>{}}", row[i], widths[i]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
    if (&row == &rows.front()) text += std::string(rule, '-') + "\n";
  }
  return text;
}

}  // namespace gpumonth::cli
