#include "budget/scaling_csv.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <initializer_list>
#include <optional>
#include <unordered_map>

#include "base/error.h"
#include "budget/csv.h"

namespace gpumonth::budget {
namespace {

using Fields = std::span<const std::string_view>;

/// Where the columns stand; kNone: the file has no such column.
struct Columns {
  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);
  std::size_t ranks = kNone, throughput = kNone, batch = kNone, run = kNone, curve = kNone, unit = kNone,
              kind = kNone, source = kNone, count = 0;
};

std::size_t find(Fields header, std::initializer_list<std::string_view> names) {
  for (const auto name : names)
    for (std::size_t i = 0; i < header.size(); ++i)
      if (header[i] == name) return i;
  return Columns::kNone;
}

Columns columns_of(Fields header, const std::string& name, std::size_t line) {
  Columns c;
  c.ranks = find(header, {"ranks", "n_acc"});
  c.throughput = find(header, {"samples_per_s", "throughput"});
  c.batch = find(header, {"batch_per_rank", "batch_per_acc"});
  c.run = find(header, {"run"});
  c.curve = find(header, {"curve_id", "curve"});
  c.unit = find(header, {"unit", "throughput_unit"});
  c.kind = find(header, {"kind"});
  c.source = find(header, {"source"});
  c.count = header.size();
  const char* missing = c.ranks == Columns::kNone        ? "ranks"
                        : c.throughput == Columns::kNone ? "samples_per_s"
                                                         : nullptr;
  if (missing)
    user_error(
        "{}:{}: no column '{}': the first line must name the columns "
        "ranks,samples_per_s[,batch_per_rank,run], separated by commas{}",
        name, line, missing,
        header.size() == 1 && header[0].find_first_of(";\t") != std::string_view::npos
            ? ", not by semicolons or tabs"
            : "");
  for (std::size_t i = 0; i < header.size(); ++i)
    if (!header[i].empty() && std::find(header.begin(), header.begin() + i, header[i]) != header.begin() + i)
      user_error("{}:{}: the column '{}' stands there twice: leave one", name, line, header[i]);
  return c;
}

class CurveReader {
 public:
  explicit CurveReader(std::string name) : name_(std::move(name)) {}

  void row(Fields fields, std::size_t line) {
    if (columns_.count == 0) {
      columns_ = columns_of(fields, name_, line);
      return;
    }
    if (fields.size() != columns_.count)
      user_error("{}:{}: {} fields where the header names {}: quote a field that has a comma in it", name_,
                 line, fields.size(), columns_.count);
    add(curve_of(fields, line), fields, line);
  }

  std::vector<ScalingCurve> finish() {
    if (columns_.count == 0) user_error("{}: is empty: expected the columns ranks,samples_per_s", name_);
    if (curves_.empty()) user_error("{}: has a header and no rows", name_);
    for (auto& curve : curves_) sort(curve);
    return std::move(curves_);
  }

 private:
  static std::string_view text(Fields fields, std::size_t column) {
    return column == Columns::kNone ? std::string_view{} : fields[column];
  }

  ScalingCurve& curve_of(Fields fields, std::size_t line) {
    const std::string_view id = text(fields, columns_.curve);
    if (columns_.curve != Columns::kNone && id.empty())
      user_error("{}:{}: the curve has no name", name_, line);
    if (curves_.empty() || curves_[last_].name != (columns_.curve == Columns::kNone ? name_ : id)) {
      const std::string key(columns_.curve == Columns::kNone ? std::string_view(name_) : id);
      const auto [found, is_new] = index_.try_emplace(key, curves_.size());
      last_ = found->second;
      if (is_new) {
        ScalingCurve& curve = curves_.emplace_back();
        curve.name = key;
        curve.kind = text(fields, columns_.kind);
        curve.source = columns_.source == Columns::kNone ? name_ : std::string(text(fields, columns_.source));
        if (!text(fields, columns_.unit).empty()) curve.unit = text(fields, columns_.unit);
      }
    }
    ScalingCurve& curve = curves_[last_];
    const auto unit = text(fields, columns_.unit);
    if (!unit.empty() && unit != curve.unit)
      user_error("{}:{}: curve '{}' mixes units: '{}' here, '{}' before", name_, line, curve.name, unit,
                 curve.unit);
    return curve;
  }

  /// Empty: no value.
  std::optional<double> number(Fields fields, std::size_t column, const char* what, std::size_t line) const {
    const auto field = text(fields, column);
    if (field.empty()) return std::nullopt;
    double value = 0;
    const auto result = std::from_chars(field.data(), field.data() + field.size(), value);
    if (result.ec != std::errc() || result.ptr != field.data() + field.size())
      user_error("{}:{}: {} '{}' is not a number", name_, line, what, field);
    if (!(value > 0) || !std::isfinite(value))
      user_error("{}:{}: {} is {}: it must be positive and finite", name_, line, what, field);
    return value;
  }

  void add(ScalingCurve& curve, Fields fields, std::size_t line) {
    const auto ranks = number(fields, columns_.ranks, "ranks", line);
    if (!ranks || *ranks != std::floor(*ranks) || *ranks > 1e9)
      user_error("{}:{}: ranks '{}' is not a whole number from 1 to 1e9", name_, line,
                 text(fields, columns_.ranks));
    const auto throughput = number(fields, columns_.throughput, "throughput", line);
    if (!throughput) {
      if (columns_.curve == Columns::kNone) user_error("{}:{}: samples_per_s is empty", name_, line);
      curve.notes.push_back(fmt::format("line {} ({} ranks) has no throughput and was left out", line,
                                        static_cast<std::int64_t>(*ranks)));
      return;
    }
    ScalingPoint& point = curve.points.emplace_back();
    point.ranks = static_cast<std::int64_t>(*ranks);
    point.samples_per_s = *throughput;
    if (const auto batch = number(fields, columns_.batch, "batch_per_rank", line))
      point.batch_per_rank = *batch;
    point.run = text(fields, columns_.run);
  }

  std::string name_;
  Columns columns_;
  std::vector<ScalingCurve> curves_;
  std::unordered_map<std::string, std::size_t> index_;
  std::size_t last_ = 0;
};

}  // namespace

std::vector<ScalingCurve> parse_scaling_csv(const std::string& text, const std::string& name) {
  CurveReader reader(name);
  parse_csv(text, name, [&](Fields fields, std::size_t line) { reader.row(fields, line); });
  return reader.finish();
}

std::vector<ScalingCurve> read_scaling_csv(const std::filesystem::path& file) {
  return parse_scaling_csv(read_text(file), file.string());
}

bool is_throughput(const std::string& unit) {
  return unit.find("/s") != std::string::npos && unit.find("B/s") == std::string::npos;
}

std::string to_csv(const ScalingCurve& curve) {
  const bool batch = has_batch(curve);
  std::string text = batch ? "ranks,samples_per_s,batch_per_rank,run\n" : "ranks,samples_per_s,run\n";
  for (const auto& p : curve.points) {
    text += fmt::format("{},{}", p.ranks, p.samples_per_s);
    if (batch) text += fmt::format(",{}", p.batch_per_rank);
    text += fmt::format(",{}\n", csv_field(p.run));
  }
  return text;
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
  return "PARAMETER ranks\n\nPOINTS" + points + "\n\nREGION " + curve.name +
         "\nMETRIC seconds_per_sample_and_rank\n" + data;
}

}  // namespace gpumonth::budget
