#include "scaling/curve_columns.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <vector>

#include "base/error.h"
#include "base/number_text.h"
#include "scaling/csv.h"

namespace gpumonth::scaling {
namespace {

using Names = std::vector<std::string>;

constexpr std::array kSeparators = {',', ';', '\t', '|', ' '};

void check_names(std::span<const std::string_view> header, const std::string& name, std::size_t line) {
  for (std::size_t i = 0; i < header.size(); ++i)
    if (!header[i].empty() && std::find(header.begin(), header.begin() + static_cast<std::ptrdiff_t>(i), header[i]) !=
                                  header.begin() + static_cast<std::ptrdiff_t>(i))
      user_error("{}:{}: the column '{}' stands there twice: leave one", name, line, header[i]);
}

/// What stands above the rows.
struct Opening {
  struct Line {
    std::string_view text;  ///< to the end of the file
    std::size_t number;
  };
  std::optional<char> separator;
  std::vector<Line> comments;
  std::optional<Line> first;  ///< that is no comment
};

Opening opening_of(std::string_view text) {
  Opening opening;
  std::size_t number = 1;
  for (std::size_t at = 0; at < text.size(); ++number) {
    const auto end = std::min(text.find('\n', at), text.size());
    auto content = trimmed(text.substr(at, end - at));
    const Opening::Line here{text.substr(at), number};
    at = end + 1;
    if (content.size() > 1 && content.front() == '"' && content.back() == '"' && content.starts_with("\"sep="))
      content = content.substr(1, content.size() - 2);
    if (content.empty()) continue;
    if (content.starts_with('#')) {
      opening.comments.push_back(here);
    } else if (content.starts_with("sep=") && content.size() <= 5) {
      opening.separator = content.size() == 5 ? content[4] : '\t';  // a tab is trimmed away
    } else {
      opening.first = here;
      break;
    }
  }
  return opening;
}

/// Whether the first row has as many fields as a comment has names.
bool fits(const Opening::Line& row, std::size_t names, char separator, const std::string& name) {
  CsvReader reader(row.text, name, separator, row.number);
  std::vector<std::string_view> fields;
  std::size_t line = 0;
  return reader.next(fields, line) && fields.size() == names;
}

/// Nothing where the line names no ranks or no throughput with any separator.
std::optional<ScalingHeader> header_in(const Opening& opening, const Opening::Line& line, std::string_view text,
                                       const std::string& name) {
  const bool is_comment = &line != &*opening.first;
  const auto hashes = is_comment ? line.text.find_first_not_of("# \t") : 0;
  if (hashes == std::string_view::npos) return std::nullopt;
  const std::string_view names = line.text.substr(hashes);
  for (const char separator : kSeparators) {
    if (opening.separator && separator != *opening.separator && !is_comment) continue;
    CsvReader reader(names, name, separator, line.number);
    std::vector<std::string_view> fields;
    std::size_t number = 0;
    try {
      if (!reader.next(fields, number)) continue;
    } catch (const UserError&) {  // quotes that belong to another separator
      continue;
    }
    ScalingHeader header{columns_of(fields), separator, 0, reader.line()};
    if (header.columns.ranks == ScalingColumns::kNone || header.columns.throughput == ScalingColumns::kNone) continue;
    check_names(fields, name, number);
    header.rows_at = text.size() - names.size() + reader.offset();
    if (is_comment && !fits(*opening.first, fields.size(), separator, name)) continue;
    return header;
  }
  return std::nullopt;
}

/// The first rows' fields, with the separator that makes the most of them.
std::vector<Names> first_rows(const Opening& opening, const std::string& name) {
  constexpr std::size_t kRows = 100;
  std::vector<Names> best;
  for (const char separator : kSeparators) {
    std::vector<Names> rows;
    CsvReader reader(opening.first->text, name, separator, opening.first->number);
    std::vector<std::string_view> fields;
    std::size_t line = 0;
    try {
      while (rows.size() < kRows && reader.next(fields, line)) rows.emplace_back(fields.begin(), fields.end());
    } catch (const UserError&) {
      continue;
    }
    if (!rows.empty() && (best.empty() || rows.front().size() > best.front().size())) best = std::move(rows);
  }
  return best;
}

bool is_number(const std::string& field) { return parse_number(field).has_value(); }

/// "ranks,samples_per_s" in the order in which two columns of numbers can only stand; empty where both could
/// be ranks, or neither.
std::string names_for(const std::vector<Names>& rows) {
  std::array<bool, 2> counts = {true, true}, doublings = {true, true};
  for (const auto& row : rows) {
    if (row.size() != 2) return "";
    for (std::size_t i = 0; i < 2; ++i) {
      const double value = parse_number(row[i]).value_or(0.5);
      counts[i] = counts[i] && value >= 1 && value == std::floor(value);
      doublings[i] = doublings[i] && value >= 1 && std::log2(value) == std::floor(std::log2(value));
    }
  }
  const auto& first_is_ranks = counts[0] != counts[1] ? counts : doublings;
  if (first_is_ranks[0] == first_is_ranks[1]) return "";
  return first_is_ranks[0] ? "ranks,samples_per_s" : "samples_per_s,ranks";
}

[[noreturn]] void refuse(const Opening& opening, const std::string& name) {
  constexpr const char* kWhich =
      "one 'ranks' with the number of ranks (GPUs), one 'samples_per_s' with the work of all of them per "
      "second";
  const std::size_t line = opening.first->number;
  const auto rows = first_rows(opening, name);
  if (rows.empty()) user_error("{}:{}: a field opens with a quote (\") that is never closed", name, line);
  const Names& names = rows.front();
  if (std::all_of(names.begin(), names.end(), [](const auto& f) { return f.empty() || is_number(f); })) {
    const std::string order = names_for(rows);
    user_error("{}:{}: no line names the columns: put one above the numbers, {}", name, line,
               order.empty() ? kWhich : fmt::format("\"{}\"", order));
  }
  const std::vector<std::string_view> fields(names.begin(), names.end());
  const ScalingColumns c = columns_of(fields);
  if (c.ranks != ScalingColumns::kNone &&
      c.throughput != ScalingColumns::kNone)  // with another separator than the line "sep=" says
    user_error("{}:{}: the columns are not separated as the line sep= says: mend or drop that line", name, line);
  user_error("{}:{}: no column '{}' among {}: it takes {}, no time, no share", name, line,
             c.ranks == ScalingColumns::kNone ? "ranks" : "samples_per_s", fmt::join(names, ", "), kWhich);
}

}  // namespace

ScalingHeader find_header(std::string_view text, const std::string& name) {
  const Opening opening = opening_of(text);
  if (!opening.first && opening.comments.empty())
    user_error("{}: is empty: expected the columns ranks,samples_per_s", name);
  if (!opening.first) user_error("{}: has no rows, comments only", name);
  if (auto header = header_in(opening, *opening.first, text, name)) return *header;
  for (auto comment = opening.comments.rbegin(); comment != opening.comments.rend(); ++comment)
    if (auto header = header_in(opening, *comment, text, name)) {
      header->rows_at = text.size() - opening.first->text.size();
      header->rows_line = opening.first->number;
      return *header;
    }
  refuse(opening, name);
}

}  // namespace gpumonth::scaling
