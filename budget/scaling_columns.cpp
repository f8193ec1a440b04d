#include "budget/scaling_columns.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <initializer_list>
#include <iterator>
#include <optional>
#include <vector>

#include "base/error.h"
#include "base/number_text.h"
#include "budget/csv.h"
#include "budget/throughput_unit.h"

namespace gpumonth::budget {
namespace {

using Kind = ThroughputUnit::Kind;
using Names = std::vector<std::string>;

constexpr std::array kSeparators = {',', ';', '\t', '|', ' '};
constexpr std::size_t kNone = ScalingColumns::kNone;

constexpr std::string_view kRanks[] = {
    "ranks",     "n_acc",           "gpus",         "num_gpus",    "n_gpus",    "ngpus",   "number_of_gpus", "of_gpus",
    "gpu_count", "world_size",      "num_ranks",    "n_ranks",     "nranks",    "devices", "num_devices",    "n_devices",
    "of_ranks",  "number_of_ranks", "accelerators", "processes",   "nprocs",    "np",      "chips"};
/// What a column named "X_per_s" has to count to be one of throughput: not dollars.
constexpr std::string_view kWork[] = {
    "sample", "samples", "image",  "images", "img",       "imgs",       "token",     "tokens",  "tok",   "seq",
    "seqs",   "example", "frames", "clips",  "sequence",  "sequences",  "sentences", "words",   "pairs", "examples",
    "items",  "videos",  "video",  "frame",  "sentence",  "utterances", "records",   "queries", "flop",  "tflop",
    "pflop",  "gflop",   "flops",  "tflops", "gflops",    "pflops",     "ktokens",   "kimg",    "mtokens"};

/// "Batch per GPU (samples)" -> name "batch_per_gpu", unit "samples".
struct ColumnName {
  std::string name, unit, written;
};

ColumnName column_name(std::string_view field) {
  ColumnName result;
  result.written = field;
  const auto open = field.find_first_of("([");
  if (open != std::string_view::npos && open > 0) {
    const auto close = std::min(field.find_first_of(")]", open), field.size());
    result.unit = trimmed(field.substr(open + 1, close - open - 1));
    field = field.substr(0, open);
  }
  for (const char c : trimmed(field)) {
    const auto lower = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    const bool blank = lower == ' ' || lower == '-' || lower == '_';
    if (!blank)
      result.name += lower == '#' ? "" : std::string(1, lower);
    else if (!result.name.empty() && result.name.back() != '_')
      result.name += '_';
  }
  return result;
}

std::size_t find(const std::vector<ColumnName>& columns, std::span<const std::string_view> names) {
  for (const std::string_view name : names)
    for (std::size_t i = 0; i < columns.size(); ++i)
      if (columns[i].name == name) return i;
  return kNone;
}

std::size_t find(const std::vector<ColumnName>& columns, std::initializer_list<std::string_view> names) {
  return find(columns, std::span(names.begin(), names.size()));
}

bool counts_work(const std::string& unit) {
  const std::string first = unit.substr(0, unit.find_first_of("_/ ("));
  const Kind kind = parse_unit(unit).kind;
  if (kind == Kind::step_rate || kind == Kind::step_time) return true;
  return (kind == Kind::total || kind == Kind::per_rank) &&
         std::find(std::begin(kWork), std::end(kWork), column_name(first).name) != std::end(kWork);
}

/// The unit that a column of throughput has by its name, empty where it says none; nothing where the column is none.
std::optional<std::string> unit_of(const ColumnName& column) {
  constexpr std::string_view kThroughput = "throughput";
  const auto shown = [&column](const std::string& text) {  // "tokens_per_s" -> "tokens/s"
    const ThroughputUnit parsed = parse_unit(text);
    return parsed.kind == Kind::total && parsed.factor == 1 ? parsed.total : text == column.unit ? text : column.written;
  };
  if (const auto at = column.name.find(kThroughput); at != std::string::npos) {
    const std::string rest = column.name.substr(at + kThroughput.size());
    if (counts_work(rest.substr(std::min<std::size_t>(1, rest.size())))) return shown(rest.substr(1));
    if (!rest.starts_with("_per_")) return column.unit;
    return (column.unit.empty() ? "samples/s" : column.unit) + "/" + rest.substr(5);
  }
  const std::string whole = column.unit.empty() ? column.name : column.name + " (" + column.unit + ")";
  const std::string& text = counts_work(column.unit) ? column.unit : whole;
  return counts_work(text) ? std::optional(shown(text)) : std::nullopt;
}

/// Of several the total of all ranks goes before that of one, and both before steps.
void find_throughput(ScalingColumns& c, const std::vector<ColumnName>& columns) {
  c.throughput = find(columns, {"samples_per_s", "throughput"});
  if (c.throughput != kNone) {
    c.throughput_unit = unit_of(columns[c.throughput]).value_or("");
    if (c.throughput_unit == "samples/s") c.throughput_unit.clear();  // the unit column may say more
    return;
  }
  const auto order = [](const std::string& unit) { return unit.empty() ? Kind::total : parse_unit(unit).kind; };
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const auto unit = i == c.ranks ? std::nullopt : unit_of(columns[i]);
    if (!unit || (c.throughput != kNone && order(c.throughput_unit) <= order(*unit))) continue;
    c.throughput = i;
    c.throughput_unit = *unit;
  }
}

ScalingColumns columns_of(std::span<const std::string_view> header) {
  std::vector<ColumnName> names;
  for (const auto field : header) names.push_back(column_name(field));
  while (!names.empty() && names.back().name.empty()) names.pop_back();
  ScalingColumns c;
  c.count = names.size();
  c.ranks = find(names, kRanks);
  find_throughput(c, names);
  c.batch = find(names, {"batch_per_rank", "batch_per_acc", "batch_per_gpu", "batch_per_device"});
  c.run = find(names, {"run"});
  c.curve = find(names, {"curve_id", "curve"});
  c.unit = find(names, {"unit", "throughput_unit"});
  c.kind = find(names, {"kind"});
  c.source = find(names, {"source"});
  return c;
}

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
    if (header.columns.ranks == kNone || header.columns.throughput == kNone) continue;
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

/// "ranks,samples_per_s" in the order in which two columns of numbers can only stand; empty where both could be
/// ranks, or neither.
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
      "one 'ranks' with the number of ranks (GPUs), one 'samples_per_s' with the work of all of them per second";
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
  if (c.ranks != kNone && c.throughput != kNone)  // with another separator than the line "sep=" says
    user_error("{}:{}: the columns are not separated as the line sep= says: mend or drop that line", name, line);
  user_error("{}:{}: no column '{}' among {}: it takes {}, no time, no share", name, line, c.ranks == kNone ? "ranks" : "samples_per_s",
             fmt::join(names, ", "), kWhich);
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

}  // namespace gpumonth::budget
