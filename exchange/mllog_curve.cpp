#include "exchange/mllog_curve.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <utility>

#include "base/error.h"
#include "base/number_text.h"
#include "base/quantile.h"
#include "exchange/mllog_run.h"

namespace gpumonth::exchange {
namespace {

namespace fs = std::filesystem;

struct Place {
  std::int64_t ranks = 0;  ///< 0: the log has to say it
  fs::path path;
};

/// "16:PLACE", unless there is a file of that name.
Place parse_place(const std::string& text) {
  const auto colon = text.find(':');
  std::error_code ignored;
  if (colon == std::string::npos || fs::exists(text, ignored)) return {0, text};
  const auto ranks = parse_number(std::string_view(text).substr(0, colon));
  if (!ranks) return {0, text};
  if (*ranks < 1 || *ranks > 1e9 || *ranks != static_cast<double>(static_cast<std::int64_t>(*ranks)))
    user_error("{}: '{}' is no number of accelerators: write it as 16:PLACE", text, text.substr(0, colon));
  return {static_cast<std::int64_t>(*ranks), text.substr(colon + 1)};
}

/// The logs of a folder are all of its files whose names end in .txt or .log, as submissions have them.
std::vector<fs::path> logs_of(const fs::path& path) {
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) return {path};
  std::vector<fs::path> logs;
  for (const auto& entry : fs::directory_iterator(path))
    if (entry.is_regular_file() && (entry.path().extension() == ".txt" || entry.path().extension() == ".log"))
      logs.push_back(entry.path());
  if (logs.empty()) user_error("{}: the folder has no .txt and no .log file: name the logs", path.string());
  std::ranges::sort(logs);
  return logs;
}

MllogRun read_log(const fs::path& log, std::int64_t ranks) {
  MllogRun run = read_mllog(log);
  if (ranks > 0) run.ranks = ranks;
  if (run.ranks == 0) run.ranks = ranks_of_system(log);
  if (run.ranks == 0)
    user_error(
        "{}: says nothing of the number of accelerators, and lies in no submission whose systems/*.json does: put it "
        "before the name, such as 16:{}",
        run.file, run.file);
  if (run.global_batch == 0) user_error("{}: has no global_batch_size: leave it out", run.file);
  return run;
}

std::vector<MllogRun> read_logs(const std::vector<std::string>& places) {
  std::vector<MllogRun> runs;
  for (const auto& text : places) {
    const Place place = parse_place(text);
    for (const auto& log : logs_of(place.path)) runs.push_back(read_log(log, place.ranks));
  }
  for (const auto& run : runs)
    if (run.benchmark != runs.front().benchmark)
      user_error("{} is of benchmark '{}', {} of '{}': a curve is of one, so import them apart", runs.front().file,
                 runs.front().benchmark, run.file, run.benchmark);
  return runs;
}

enum class Basis { step_time, throughput, run_time };

const char* text_of(Basis basis) {
  switch (basis) {
    case Basis::step_time: return "global batch / train_step_time, median of blocks";
    case Basis::throughput: return "throughput as logged, median of blocks";
    case Basis::run_time: return "samples / (run_stop - run_start), evaluations included";
  }
  return "";
}

Basis basis_of(const MllogRun& run) {
  if (!run.step_s.empty()) return Basis::step_time;
  if (!run.throughput.empty()) return Basis::throughput;
  if (run.run_s > 0 && run.samples > 0) return Basis::run_time;
  user_error("{}: has neither train_step_time nor throughput, nor samples between run_start and run_stop: leave it out",
             run.file);
}

void require_throughputs(const std::vector<MllogRun>& runs, const std::string& unit) {
  for (const auto& run : runs)
    if (basis_of(run) != Basis::throughput)
      user_error("--unit {} is the unit of a logged throughput, and {} gives samples/s ({}): leave --unit out", unit,
                 run.file, text_of(basis_of(run)));
}

/// A run's throughputs, a block each. The first block has the start-up in it.
std::vector<double> throughputs(const MllogRun& run) {
  const auto batch = static_cast<double>(run.global_batch);
  std::vector<double> values;
  switch (basis_of(run)) {
    case Basis::step_time:
      for (const double step_s : run.step_s) values.push_back(batch / step_s);
      break;
    case Basis::throughput: values = run.throughput; break;
    case Basis::run_time: return {run.samples / run.run_s};
  }
  if (values.size() > 1) values.erase(values.begin());
  return values;
}

std::string folder_of(const MllogRun& run) { return fs::path(run.file).parent_path().string(); }

using Point = std::pair<std::int64_t, std::int64_t>;  // ranks, global batch

void add_points(const std::vector<MllogRun>& runs, bool each_run, scaling::ScalingCurve& curve) {
  std::map<Point, std::vector<const MllogRun*>> points;
  for (const auto& run : runs) points[{run.ranks, run.global_batch}].push_back(&run);
  for (const auto& [point, of_point] : points) {
    const double batch_per_rank = static_cast<double>(point.second) / static_cast<double>(point.first);
    std::vector<double> pooled;
    for (const MllogRun* run : of_point) {
      std::vector<double> of_run = throughputs(*run);
      pooled.insert(pooled.end(), of_run.begin(), of_run.end());
      if (each_run) curve.points.push_back({point.first, batch_per_rank, quantile(of_run, 0.5), run->file});
    }
    if (!each_run)
      curve.points.push_back({point.first, batch_per_rank, quantile(std::move(pooled), 0.5),
                              fmt::format("{} ({} run{})", folder_of(*of_point.front()), of_point.size(),
                                          of_point.size() == 1 ? "" : "s")});
  }
}

void add_notes(const std::vector<MllogRun>& runs, bool unit_given, scaling::ScalingCurve& curve) {
  std::map<Basis, std::size_t> bases;
  std::size_t bad_lines = 0, of_sequences = 0;
  for (const auto& run : runs) {
    ++bases[basis_of(run)];
    bad_lines += run.bad_lines;
    of_sequences += run.of_sequences && basis_of(run) == Basis::throughput;
  }
  for (const auto& [basis, count] : bases)
    curve.notes.push_back(fmt::format("{} of {} runs: {}", count, runs.size(), text_of(basis)));
  if (bases.size() > 1) curve.notes.push_back("throughputs of different kinds stand on one curve");
  if (bad_lines > 0) curve.notes.push_back(fmt::format("{} :::MLLOG lines hold no JSON and were left out", bad_lines));
  if (of_sequences > 0 && !unit_given)
    curve.notes.push_back(
        "the logs have max_sequence_length: their throughput may be in tokens/s; if it is, import again with --unit "
        "tokens/s");
}

}  // namespace

scaling::ScalingCurve curve_of_mllogs(const std::vector<std::string>& places, const MllogOptions& options) {
  std::vector<MllogRun> runs = read_logs(places);
  const std::size_t all = runs.size();
  std::erase_if(runs, [](const MllogRun& run) { return !run.success; });
  if (runs.empty())
    user_error("{}: none of {} logs says that its run was a success (run_stop with status success)", places.front(),
               all);
  scaling::ScalingCurve curve;
  curve.name = runs.front().benchmark.empty() ? "mlperf" : runs.front().benchmark;
  if (!options.unit.empty()) {
    require_throughputs(runs, options.unit);
    curve.unit = options.unit;
  }
  if (runs.size() < all)
    curve.notes.push_back(
        fmt::format("{} of {} runs did not reach the target and were left out", all - runs.size(), all));
  add_points(runs, options.each_run, curve);
  add_notes(runs, !options.unit.empty(), curve);
  scaling::check(curve);
  scaling::sort(curve);
  return curve;
}

}  // namespace gpumonth::exchange
