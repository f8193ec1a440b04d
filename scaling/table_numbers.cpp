#include "scaling/table_numbers.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/number_text.h"

namespace gpumonth::scaling {
namespace {

bool is_digit(char c) { return '0' <= c && c <= '9'; }

/// Without what only ever groups digits: blanks (also the narrow and the unbreakable one) and apostrophes.
std::string without_blanks(std::string_view cell) {
  std::string text(trimmed(cell));
  for (const std::string_view blank : {"\xC2\xA0", "\xE2\x80\xAF", "\xE2\x80\x89", " ", "'"})
    for (std::size_t at = 0; (at = text.find(blank, at)) != std::string::npos;) {
      const bool groups = at > 0 && is_digit(text[at - 1]) && at + blank.size() + 3 <= text.size() &&
                          std::all_of(text.begin() + static_cast<std::ptrdiff_t>(at + blank.size()),
                                      text.begin() + static_cast<std::ptrdiff_t>(at + blank.size() + 3), is_digit);
      if (groups)
        text.erase(at, blank.size());
      else
        at += blank.size();
    }
  return text;
}

/// Whether `mark` stands before every three digits of the whole part, as in "1,234,567", and what is left is digits.
bool is_grouped(std::string_view whole, char mark) {
  const auto first = whole.find(mark);
  if (first == std::string_view::npos || first < 1 || first > 3 || whole[0] == '0') return false;
  for (std::size_t i = 0; i < whole.size(); ++i)
    if ((i >= first && (i - first) % 4 == 0) ? whole[i] != mark : !is_digit(whole[i])) return false;
  return (whole.size() - first) % 4 == 0;
}

/// Sign and exponent aside.
std::string_view mantissa(std::string_view number) {
  if (number.starts_with('+') || number.starts_with('-')) number.remove_prefix(1);
  return number.substr(0, number.find_first_of("eE"));
}

std::string without(std::string text, char mark) {
  text.erase(std::remove(text.begin(), text.end(), mark), text.end());
  return text;
}

/// `text` with this decimal mark as a number, the other mark between thousands; nothing where it is none.
std::optional<double> read_as(char decimal, const std::string& text) {
  const char other = decimal == '.' ? ',' : '.';
  const std::string_view digits = mantissa(text);
  const auto whole = digits.substr(0, digits.find(decimal));
  if (whole.find(other) != std::string_view::npos && !is_grouped(whole, other)) return std::nullopt;
  if (digits.find(other, whole.size()) != std::string_view::npos) return std::nullopt;
  std::string plain = without(text, other);
  if (decimal == ',') std::replace(plain.begin(), plain.end(), ',', '.');
  return parse_number(plain);
}

bool is_whole(double value) { return value == std::floor(value); }

}  // namespace

void TableNumbers::tell(char decimal, std::string_view cell, std::size_t line) {
  if (decimal_ == 0) {
    decimal_ = decimal;
    told_by_ = cell;
    told_on_ = line;
  } else if (decimal_ != decimal) {
    user_error("{}:{}: '{}' and '{}' on line {} do not go together: write every number with a decimal point", name_,
               line, cell, told_by_, told_on_);
  }
}

void TableNumbers::see(std::string_view cell, bool is_count, std::size_t line) {
  if (cell.find_first_of(".,") == std::string_view::npos) return;
  const std::string text = without_blanks(cell);
  auto as_point = read_as('.', text), as_comma = read_as(',', text);
  if (is_count && as_point && as_comma) {
    if (!is_whole(*as_point)) as_point.reset();
    if (!is_whole(*as_comma)) as_comma.reset();
  }
  if (as_point && !as_comma) tell('.', cell, line);
  if (as_comma && !as_point) tell(',', cell, line);
}

std::optional<double> TableNumbers::value(std::string_view cell, bool is_count, std::size_t line) const {
  const std::string text = without_blanks(cell);
  if (!is_count && begins_like_thousands(text))
    user_error(
        "{}:{}: '{}' begins with a zero, as the end of a number that was cut at a comma: write thousands "
        "without one",
        name_, line, cell);
  if (decimal_ != 0) return read_as(decimal_, text);
  const auto as_point = read_as('.', text);
  const auto as_comma = text.find(',') == std::string::npos ? as_point : read_as(',', text);
  if (as_point && as_comma && *as_point != *as_comma)
    user_error("{}:{}: '{}' can be {} or {}: write it without the comma", name_, line, cell, *as_point, *as_comma);
  return as_point ? as_point : as_comma;
}

}  // namespace gpumonth::scaling
