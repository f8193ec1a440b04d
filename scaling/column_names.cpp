// How people call the columns of a table of throughput.
#include <algorithm>
#include <cctype>
#include <initializer_list>
#include <iterator>
#include <optional>
#include <vector>

#include "base/number_text.h"
#include "scaling/curve_columns.h"
#include "scaling/throughput_unit.h"

namespace gpumonth::scaling {
namespace {

using Kind = ThroughputUnit::Kind;

constexpr std::string_view kRanks[] = {
    "ranks",     "n_acc",           "gpus",         "num_gpus",  "n_gpus", "ngpus",   "number_of_gpus", "of_gpus",
    "gpu_count", "world_size",      "num_ranks",    "n_ranks",   "nranks", "devices", "num_devices",    "n_devices",
    "of_ranks",  "number_of_ranks", "accelerators", "processes", "nprocs", "np",      "chips"};
/// What a column named "X_per_s" has to count to be one of throughput: not dollars.
constexpr std::string_view kWork[] = {
    "sample", "samples", "image",  "images", "img",      "imgs",       "token",     "tokens",  "tok",    "seq",
    "seqs",   "example", "frames", "clips",  "sequence", "sequences",  "sentences", "words",   "pairs",  "examples",
    "items",  "videos",  "video",  "frame",  "sentence", "utterances", "records",   "queries", "flop",   "tflop",
    "pflop",  "gflop",   "flops",  "tflops", "gflops",   "pflops",     "ktokens",   "kimg",    "mtokens"};

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
  return ScalingColumns::kNone;
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

/// The unit that a column of throughput has by its name, empty where it says none; nothing where the column
/// is none.
std::optional<std::string> unit_of(const ColumnName& column) {
  constexpr std::string_view kThroughput = "throughput";
  const auto shown = [&column](const std::string& text) {  // "tokens_per_s" -> "tokens/s"
    const ThroughputUnit parsed = parse_unit(text);
    return parsed.kind == Kind::total && parsed.factor == 1 ? parsed.total
           : text == column.unit                            ? text
                                                            : column.written;
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
  if (c.throughput != ScalingColumns::kNone) {
    c.throughput_unit = unit_of(columns[c.throughput]).value_or("");
    if (c.throughput_unit == "samples/s") c.throughput_unit.clear();  // the unit column may say more
    return;
  }
  const auto order = [](const std::string& unit) { return unit.empty() ? Kind::total : parse_unit(unit).kind; };
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const auto unit = i == c.ranks ? std::nullopt : unit_of(columns[i]);
    if (!unit || (c.throughput != ScalingColumns::kNone && order(c.throughput_unit) <= order(*unit))) continue;
    c.throughput = i;
    c.throughput_unit = *unit;
  }
}

}  // namespace

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

}  // namespace gpumonth::scaling
