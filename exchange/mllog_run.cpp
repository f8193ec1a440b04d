#include "exchange/mllog_run.h"

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "base/number_text.h"
#include "base/text_file.h"

namespace gpumonth::exchange {
namespace {

constexpr std::string_view kMark = ":::MLLOG";

/// A number, or text that is one: systems/*.json have both.
std::optional<double> positive_number(const nlohmann::json& value) {
  std::optional<double> number;
  if (value.is_number()) number = value.get<double>();
  if (value.is_string()) number = parse_number(value.get<std::string>());
  return number && std::isfinite(*number) && *number > 0 && *number < 1e15 ? number : std::nullopt;
}

/// What stands under `key` in an object; null where there is nothing.
const nlohmann::json& member(const nlohmann::json& object, const char* key) {
  static const nlohmann::json kNothing;
  if (!object.is_object()) return kNothing;
  const auto found = object.find(key);
  return found == object.end() ? kNothing : *found;
}

class MllogReader {
 public:
  explicit MllogReader(const std::filesystem::path& file) { run_.file = file.string(); }

  void add(const std::string& line) {
    const auto mark = line.find(kMark);
    if (mark == std::string::npos) return;
    const auto event = nlohmann::json::parse(line.begin() + static_cast<std::ptrdiff_t>(mark + kMark.size()),
                                             line.end(), nullptr, false);
    if (!event.is_object() || !member(event, "key").is_string()) {
      ++run_.bad_lines;
      return;
    }
    ++events_;
    add(member(event, "key").get<std::string>(), member(event, "value"), event);
  }

  MllogRun finish() {
    if (events_ == 0)
      user_error(
          "{}: has no line with {} and JSON behind it{}: give result logs of MLPerf Training from round v0.6 on, or of "
          "gpumonth export --mllog",
          run_.file, kMark, run_.bad_lines > 0 ? fmt::format(" ({} with something else)", run_.bad_lines) : "");
    if (run_.ranks == 0) run_.ranks = nodes_ * per_node_;
    if (run_.ranks > 1'000'000'000) user_error("{}: says that it ran on {} accelerators", run_.file, run_.ranks);
    if (stop_ms_ > start_ms_ && start_ms_ > 0) run_.run_s = (stop_ms_ - start_ms_) / 1e3;
    if (run_.samples == 0) run_.samples = steps_ * static_cast<double>(run_.global_batch);
    return std::move(run_);
  }

 private:
  void add(const std::string& key, const nlohmann::json& value, const nlohmann::json& event) {
    if (key == "tracked_stats") return add_stats(value);
    if (key == "submission_benchmark" && value.is_string()) run_.benchmark = value.get<std::string>();
    if (key == "global_batch_size") run_.global_batch = count(key, value);
    if (key == "number_of_ranks") run_.ranks = count(key, value);
    if (key == "number_of_nodes") nodes_ = count(key, value);
    if (key == "accelerators_per_node") per_node_ = count(key, value);
    if (key == "max_sequence_length") run_.of_sequences = true;
    if (key == "run_start") start_ms_ = positive_number(member(event, "time_ms")).value_or(0);
    if (key == "run_stop") add_stop(event);
  }

  /// Throughputs and step times; NVIDIA's logs have one or the other, a value a block.
  void add_stats(const nlohmann::json& stats) {
    if (const auto& value = member(stats, "train_step_time"); !value.is_null())
      run_.step_s.push_back(measure("train_step_time", value));
    if (const auto& value = member(stats, "throughput"); !value.is_null())
      run_.throughput.push_back(measure("throughput", value));
  }

  void add_stop(const nlohmann::json& event) {
    const auto& metadata = member(event, "metadata");
    stop_ms_ = positive_number(member(event, "time_ms")).value_or(0);
    run_.success = member(metadata, "status") == "success";
    if (const auto samples = positive_number(member(metadata, "samples_count"))) run_.samples = *samples;
    for (const char* key : {"step", "step_num"})
      if (const auto steps = positive_number(member(metadata, key))) steps_ = *steps;
  }

  double measure(const char* key, const nlohmann::json& value) const {
    const auto number = positive_number(value);
    if (!number) user_error("{}: {} is {}: it must be a number above 0", run_.file, key, value.dump());
    return *number;
  }

  std::int64_t count(const std::string& key, const nlohmann::json& value) const {
    const double number = measure(key.c_str(), value);
    if (number != std::floor(number) || number > 1e9)
      user_error("{}: {} is {}: it must be a whole number from 1 to 1e9", run_.file, key, value.dump());
    return static_cast<std::int64_t>(number);
  }

  MllogRun run_;
  std::size_t events_ = 0;
  std::int64_t nodes_ = 0, per_node_ = 0;
  double start_ms_ = 0, stop_ms_ = 0, steps_ = 0;
};

}  // namespace

MllogRun read_mllog(const std::filesystem::path& file) {
  std::ifstream in(file);
  if (!in) user_error("{}: cannot be read: check its name", file.string());
  MllogReader reader(file);
  for (std::string line; std::getline(in, line);) reader.add(line);
  if (in.bad()) user_error("{}: cannot be read to its end", file.string());
  return reader.finish();
}

std::int64_t ranks_of_system(const std::filesystem::path& file) {
  const auto system = std::filesystem::absolute(file).lexically_normal().parent_path().parent_path();
  const auto json = nlohmann::json::parse(
      bytes_of_file(system.parent_path().parent_path() / "systems" / (system.filename().string() + ".json")), nullptr,
      false);
  const double ranks = positive_number(member(json, "number_of_nodes")).value_or(0) *
                       positive_number(member(json, "accelerators_per_node")).value_or(0);
  return ranks == std::floor(ranks) && ranks <= 1e9 ? static_cast<std::int64_t>(ranks) : 0;
}

}  // namespace gpumonth::exchange
