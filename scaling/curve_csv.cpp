#include "scaling/curve_csv.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <optional>
#include <unordered_map>

#include "base/error.h"
#include "base/shipped.h"
#include "base/text_file.h"
#include "scaling/csv.h"
#include "scaling/curve_columns.h"
#include "scaling/curve_units.h"
#include "scaling/table_numbers.h"
#include "scaling/throughput_unit.h"

namespace gpumonth::scaling {
namespace {

using Fields = std::span<const std::string_view>;

/// Rows into curves; the names of the columns are known.
class CurveReader {
 public:
  CurveReader(std::string name, ScalingColumns columns)
      : name_(std::move(name)), columns_(std::move(columns)), numbers_(name_) {}

  /// Every row before the first row(): how the file writes its numbers.
  void see(Fields fields, std::size_t line) {
    for (const auto column : {columns_.ranks, columns_.throughput, columns_.batch})
      if (column < fields.size()) numbers_.see(fields[column], column == columns_.ranks, line);
  }

  void row(Fields fields, std::size_t line) {
    const auto is_empty = [](std::string_view field) { return field.empty(); };
    if (std::all_of(fields.begin(), fields.end(), is_empty)) return;  // as spreadsheets write below a table
    if (fields.size() > columns_.count && std::all_of(fields.begin() + columns_.count, fields.end(), is_empty))
      fields = fields.first(columns_.count);
    if (fields.size() > columns_.count)
      user_error("{}:{}: {} fields where the header names {}: quote a field that has the separator in it", name_, line,
                 fields.size(), columns_.count);
    if (fields.size() < columns_.count)
      user_error("{}:{}: {} fields where the header names {}: leave a field empty, with its separator", name_, line,
                 fields.size(), columns_.count);
    add(curve_of(fields, line), fields, line);
  }

  std::vector<ScalingCurve> finish() {
    if (curves_.empty()) user_error("{}: has a header and no rows", name_);
    for (auto& curve : curves_) {
      to_total_throughput(curve);
      sort(curve);
      note_doubtful_axes(curve);
    }
    return std::move(curves_);
  }

 private:
  static std::string_view text(Fields fields, std::size_t column) {
    return column == ScalingColumns::kNone ? std::string_view{} : fields[column];
  }

  ScalingCurve& curve_of(Fields fields, std::size_t line) {
    const std::string_view id = text(fields, columns_.curve);
    if (columns_.curve != ScalingColumns::kNone && id.empty()) user_error("{}:{}: the curve has no name", name_, line);
    if (curves_.empty() || curves_[last_].name != (columns_.curve == ScalingColumns::kNone ? name_ : id)) {
      const std::string key(columns_.curve == ScalingColumns::kNone ? std::string_view(name_) : id);
      const auto [found, is_new] = index_.try_emplace(key, curves_.size());
      last_ = found->second;
      if (is_new) {
        ScalingCurve& curve = curves_.emplace_back();
        curve.name = key;
        curve.kind = text(fields, columns_.kind);
        curve.source = columns_.source == ScalingColumns::kNone ? name_ : std::string(text(fields, columns_.source));
        if (const auto unit = unit_of(fields); !unit.empty()) curve.unit = unit;
      }
    }
    ScalingCurve& curve = curves_[last_];
    const auto unit = unit_of(fields);
    if (!unit.empty() && unit != curve.unit)
      user_error("{}:{}: curve '{}' mixes units: '{}' here, '{}' before", name_, line, curve.name, unit, curve.unit);
    return curve;
  }

  /// The unit column's word goes before the throughput column's name, which may still say that it is per rank.
  std::string unit_of(Fields fields) const {
    const std::string unit(text(fields, columns_.unit)), &named = columns_.throughput_unit;
    if (unit.empty()) return named;
    using enum ThroughputUnit::Kind;
    return parse_unit(named).kind == per_rank && parse_unit(unit).kind == total ? unit + "/GPU" : unit;
  }

  /// Empty: no value.
  std::optional<double> number(Fields fields, std::size_t column, const char* what, std::size_t line) const {
    const auto field = text(fields, column);
    if (field.empty()) return std::nullopt;
    const auto read = numbers_.value(field, column == columns_.ranks, line);
    if (!read) user_error("{}:{}: {} '{}' is not a number", name_, line, what, field);
    const double value = *read;
    if (!(value > 0)) user_error("{}:{}: {} is {}: it must be positive", name_, line, what, field);
    return value;
  }

  void add(ScalingCurve& curve, Fields fields, std::size_t line) {
    const auto ranks = number(fields, columns_.ranks, "ranks", line);
    if (!ranks) user_error("{}:{}: ranks is empty", name_, line);
    if (*ranks != std::floor(*ranks) || *ranks > 1e9)
      user_error("{}:{}: ranks '{}' is not a whole number from 1 to 1e9", name_, line, text(fields, columns_.ranks));
    const auto throughput = number(fields, columns_.throughput, "throughput", line);
    if (!throughput) {
      if (columns_.curve == ScalingColumns::kNone) user_error("{}:{}: samples_per_s is empty", name_, line);
      curve.notes.push_back(fmt::format("line {} ({} ranks) has no throughput and was left out", line,
                                        static_cast<std::int64_t>(*ranks)));
      return;
    }
    ScalingPoint& point = curve.points.emplace_back();
    point.ranks = static_cast<std::int64_t>(*ranks);
    point.samples_per_s = *throughput;
    if (const auto batch = number(fields, columns_.batch, "batch_per_rank", line)) point.batch_per_rank = *batch;
    point.run = text(fields, columns_.run);
  }

  std::string name_;
  ScalingColumns columns_;
  TableNumbers numbers_;
  std::vector<ScalingCurve> curves_;
  std::unordered_map<std::string, std::size_t> index_;
  std::size_t last_ = 0;
};

}  // namespace

std::vector<ScalingCurve> parse_scaling_csv(const std::string& bytes, const std::string& name) {
  const std::string text = plain_text(bytes, name);
  const ScalingHeader header = find_header(text, name);
  CurveReader curves(name, header.columns);
  const auto rows = [&](auto&& visit) {
    CsvReader reader(std::string_view(text).substr(header.rows_at), name, header.separator, header.rows_line);
    std::vector<std::string_view> fields;
    for (std::size_t line = 0; reader.next(fields, line);) visit(fields, line);
  };
  rows([&](Fields fields, std::size_t line) { curves.see(fields, line); });
  rows([&](Fields fields, std::size_t line) { curves.row(fields, line); });
  return curves.finish();
}

std::vector<ScalingCurve> read_scaling_csv(const std::filesystem::path& named) {
  const std::filesystem::path file = shipped_file(named);
  return parse_scaling_csv(read_bytes(file), file.string());
}

std::string to_csv(const ScalingCurve& curve) {
  const bool batch = has_batch(curve), unit = curve.unit != ScalingCurve{}.unit;
  std::string text = fmt::format("ranks,samples_per_s{},run{}\n", batch ? ",batch_per_rank" : "", unit ? ",unit" : "");
  for (const auto& p : curve.points) {
    text += fmt::format("{},{}", p.ranks, p.samples_per_s);
    if (batch) text += fmt::format(",{}", p.batch_per_rank);
    text += fmt::format(",{}", csv_field(p.run));
    text += unit ? fmt::format(",{}\n", csv_field(curve.unit)) : "\n";
  }
  return text;
}

/// "tokens/s" -> "token"; what Extra-P's names may not hold becomes "_".
static std::string work_in(const std::string& unit) {
  std::string work = unit.substr(0, unit.find_first_of("(/"));
  if (work.size() > 1 && work.ends_with('s')) work.pop_back();
  for (char& c : work)
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  return work;
}

std::string to_extrap(const ScalingCurve& curve) {
  std::string points, data;
  for (std::size_t i = 0; i < curve.points.size();) {
    const std::int64_t ranks = curve.points[i].ranks;
    points += fmt::format(" {}", ranks);
    data += "DATA";
    for (; i < curve.points.size() && curve.points[i].ranks == ranks; ++i)
      data += fmt::format(" {}", static_cast<double>(ranks) / curve.points[i].samples_per_s);
    data += "\n";
  }
  return "PARAMETER ranks\n\nPOINTS" + points + "\n\nREGION " + curve.name + "\nMETRIC seconds_per_" +
         work_in(curve.unit) + "_and_rank\n" + data;
}

}  // namespace gpumonth::scaling
