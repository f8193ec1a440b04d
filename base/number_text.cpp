#include "base/number_text.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>

#include "base/error.h"

namespace gpumonth {
namespace {

bool is_digit(char c) { return '0' <= c && c <= '9'; }

bool is_digits(std::string_view text) { return !text.empty() && std::all_of(text.begin(), text.end(), is_digit); }

bool is_power_of_two(std::string_view digits) {
  unsigned value = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return std::has_single_bit(value);
}

}  // namespace

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r";
  const auto first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

std::optional<double> parse_number(std::string_view text) {
  text = trimmed(text);
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  if (text.find_first_not_of("-.0123456789eE+") != std::string_view::npos) return std::nullopt;  // nan, inf
  double value = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || rest != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

bool begins_like_thousands(std::string_view item) { return item.size() > 1 && item[0] == '0' && is_digit(item[1]); }

std::vector<std::string_view> split_list(std::string_view list, std::string_view option) {
  std::vector<std::string_view> items;
  for (std::size_t at = 0; at <= list.size();) {
    const auto comma = std::min(list.find(',', at), list.size());
    items.push_back(trimmed(list.substr(at, comma - at)));
    if (items.size() > 1 && begins_like_thousands(items.back()))
      user_error("{} {}: '{},{}' is two numbers to this list: write {}{}, commas stand between numbers only", option,
                 list, items[items.size() - 2], items.back(), items[items.size() - 2], items.back());
    at = comma + 1;
  }
  return items;
}

std::string note_on_thousands(std::string_view list, std::string_view option) {
  const auto comma = list.find(',');
  if (comma == std::string_view::npos) return "";
  const auto thousands = trimmed(list.substr(0, comma));
  const auto rest = list.substr(comma + 1);
  const auto ones = trimmed(rest.substr(0, rest.find(':')));
  const bool could_be_one =
      is_digits(thousands) && thousands.size() <= 3 && thousands[0] != '0' && is_digits(ones) && ones.size() == 3;
  if (!could_be_one || (is_power_of_two(thousands) && is_power_of_two(ones))) return "";
  return fmt::format("{} {} is two numbers, {} and {}; one number is written without a comma: {}{}", option, list,
                     thousands, ones, thousands, ones);
}

}  // namespace gpumonth
