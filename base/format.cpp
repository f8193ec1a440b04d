#include "base/format.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <sstream>

namespace gpumonth {
namespace {

constexpr const char* kUnknown = "n/a";

bool is_whole(double value) { return std::abs(value - std::round(value)) < 1e-9 * std::abs(value); }

/// 15.3, 124.6, 997: `decimals` after the point below 500, none above; a whole number has none, and one that
/// two decimals hold exactly (14.95) has them.
std::string short_text(double value, int decimals = 1) {
  if (is_whole(value))
    decimals = 0;
  else if (value < 100 && is_whole(100 * value) && !is_whole(10 * value))
    decimals = 2;
  std::string text = fmt::format("{:.{}f}", value, value < 500 ? decimals : 0);
  while (text.find('.') != std::string::npos && (text.ends_with('0') || text.ends_with('.'))) text.pop_back();
  return text;
}

}  // namespace

std::string grouped(double value) {
  if (!std::isfinite(value)) return kUnknown;
  if (value == 0) return "0";
  if (std::abs(value) < 1e-3 || std::abs(value) >= 1e15) return scientific(value);
  if (std::abs(value) < 100 && !is_whole(value))
    return fmt::format("{:.{}f}", value, std::abs(value) < 1 ? 3 : std::abs(value) < 10 ? 2 : 1);
  const std::string digits = fmt::format("{:.0f}", std::abs(value));
  std::string out = value < 0 ? "-" : "";
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) out.push_back(',');
    out.push_back(digits[i]);
  }
  return out;
}

std::string compact(double value) {
  if (!std::isfinite(value)) return kUnknown;
  const double size = std::abs(value);
  if (size == 0) return "0";
  if (size < 1e-3 || size >= 999.5e9) return scientific(value);
  if (size < 10) return short_text(value, 2);
  if (size < 999.5) return short_text(value);
  if (size < 9999.5) return grouped(value);
  if (size < 999.5e3) return short_text(value / 1e3) + " k";
  if (size < 999.5e6) return short_text(value / 1e6) + " M";
  return short_text(value / 1e9, size < 9.995e9 ? 2 : 1) + " G";
}

std::string scientific(double value) {
  if (!std::isfinite(value)) return kUnknown;
  if (value == 0) return "0";
  const std::string text = fmt::format("{:.2e}", value);  // "1.50e+09"
  const auto e = text.find('e');
  std::string mantissa = text.substr(0, e);
  while (mantissa.ends_with('0')) mantissa.pop_back();
  if (mantissa.ends_with('.')) mantissa.pop_back();
  return fmt::format("{}e{}", mantissa, std::stoi(text.substr(e + 1)));
}

std::string percent(double fraction) {
  if (!std::isfinite(fraction)) return kUnknown;
  const double value = 100 * fraction;
  return fmt::format("{:.{}f} %", value, value == 0 || is_whole(value) ? 0 : 1);
}

/// `value` is not 0.
static double rounded_to_three_digits(double value) {
  const double unit = std::pow(10, std::floor(std::log10(std::abs(value))) - 2);
  return unit * std::round(value / unit);
}

std::string money(double value) {
  if (!(std::abs(value) >= 1e6) || !std::isfinite(value)) return three_digits(value);
  std::string text = compact(rounded_to_three_digits(value));
  if (text.ends_with(" G")) text.replace(text.size() - 1, 1, "bn");
  return text;
}

std::string factor_text(double low, double high, const char* between) {
  const auto text = [](double x) { return std::isfinite(x) ? fmt::format("{:.3g}", x) : std::string(kUnknown); };
  return low == high || text(low) == text(high) ? text(low) : text(low) + between + text(high);
}

std::string axis_text(double value) { return value < 1 ? fmt::format("{:g}", value) : grouped(value); }

std::string three_digits(double value) {
  if (!(std::abs(value) >= 1000) || !std::isfinite(value)) return grouped(value);
  return grouped(rounded_to_three_digits(value));
}

std::vector<std::string> wrap(const std::string& text, std::size_t width) {
  std::vector<std::string> lines;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    if (!lines.empty() && lines.back().size() + 1 + word.size() <= width)
      lines.back() += " " + word;
    else
      lines.push_back(word);
  }
  return lines;
}

}  // namespace gpumonth
