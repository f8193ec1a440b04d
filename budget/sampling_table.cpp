// configs/published/sampling.csv, row by row.
#include <algorithm>
#include <cmath>
#include <optional>
#include <span>

#include "base/error.h"
#include "base/number_text.h"
#include "base/text_file.h"
#include "budget/sampling_backtest.h"
#include "scaling/csv.h"

namespace gpumonth::budget {
namespace {

/// A column of numbers, and the range outside of which another unit or a slip is likelier.
struct SamplingColumn {
  const char* name;
  double min, max;
  void (*set)(SamplingRow& row, double value);
};

constexpr SamplingColumn kSamplingColumns[] = {
    {"gpus", 1, 1e6, [](SamplingRow& r, double x) { r.gpus = x; }},
    {"layers", 1, 1e5, [](SamplingRow& r, double x) { r.model.layers = x; }},
    {"width", 1, 1e6, [](SamplingRow& r, double x) { r.model.width = x; }},
    {"mlp_width", 1, 1e7, [](SamplingRow& r, double x) { r.model.mlp_width = x; }},
    {"context_tokens", 0, 1e6, [](SamplingRow& r, double x) { r.model.context_tokens = x; }},
    {"tokens", 1, 1e9, [](SamplingRow& r, double x) { r.model.tokens = x; }},
    {"gated_mlp", 0, 1, [](SamplingRow& r, double x) { r.model.gated_mlp = x != 0; }},
    {"steps", 1, 1e5, [](SamplingRow& r, double x) { r.steps = x; }},
    {"forwards_per_step", 1, 10, [](SamplingRow& r, double x) { r.forwards_per_step = x; }},
    {"includes_decoder", -1, 1, [](SamplingRow& r, double x) { r.includes_decoder = static_cast<int>(x); }},
    {"seconds", 1e-6, 1e8, [](SamplingRow& r, double x) { r.seconds = x; }}};

constexpr const char* kSamplingHeader =
    "name,hardware,gpus,layers,width,mlp_width,context_tokens,tokens,gated_mlp,steps,forwards_per_step,"
    "includes_decoder,seconds,source";

using Fields = std::span<const std::string_view>;

/// The header's place of a column.
std::size_t place_of(const std::vector<std::string>& header, std::string_view column, const std::string& file) {
  const auto found = std::find(header.begin(), header.end(), column);
  if (found == header.end())
    user_error("{}: has no column '{}': the first line of a table of sampling times is {}", file, column,
               kSamplingHeader);
  return static_cast<std::size_t>(found - header.begin());
}

SamplingRow sampling_row(Fields fields, const std::vector<std::string>& header, const std::string& where,
                         const std::string& file) {
  const auto text = [&](const char* column) { return std::string(trimmed(fields[place_of(header, column, file)])); };
  SamplingRow row{.name = text("name"), .hardware = text("hardware"), .source = text("source")};
  for (const auto& [column, value] :
       {std::pair{"name", &row.name}, std::pair{"hardware", &row.hardware}, std::pair{"source", &row.source}})
    if (value->empty()) user_error("{}: '{}' is empty", where, column);
  for (const auto& column : kSamplingColumns) {
    const std::string given = text(column.name);
    const auto value = parse_number(given);
    if (!value || *value < column.min || *value > column.max)
      user_error("{}: {} = '{}': a number from {:g} to {:g} is asked for", where, column.name, given, column.min,
                 column.max);
    const bool is_count =
        std::string_view(column.name) != "seconds" && std::string_view(column.name) != "forwards_per_step";
    if (is_count && *value != std::floor(*value))
      user_error("{}: {} = '{}': a whole number is asked for", where, column.name, given);
    column.set(row, *value);
  }
  return row;
}

}  // namespace

std::vector<SamplingRow> read_sampling_csv(const std::filesystem::path& path) {
  const std::string file = path.string();
  const std::string text = scaling::plain_text(read_bytes(path), file);
  scaling::CsvReader reader(text, file, ',');
  std::vector<std::string_view> fields;
  std::size_t line = 0;
  std::vector<std::string> header;
  if (reader.next(fields, line)) header.assign(fields.begin(), fields.end());
  std::vector<SamplingRow> rows;
  while (reader.next(fields, line)) {
    const std::string where = file + ":" + std::to_string(line);
    if (fields.size() != header.size())
      user_error("{}: {} fields where the header names {}: quote a field that has a comma in it", where, fields.size(),
                 header.size());
    rows.push_back(sampling_row(fields, header, where, file));
  }
  if (rows.empty())
    user_error("{}: is no table of sampling times: it needs the header {} and rows", file, kSamplingHeader);
  return rows;
}

}  // namespace gpumonth::budget
