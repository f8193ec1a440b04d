// A run in the form of MLPerf's training results: lines ":::MLLOG {json}" with time, key, value. Keys are those of
// mlperf_logging; nothing is written that only a submission has (organisation, division, target accuracy).
#include <fmt/format.h>

#include <cmath>

#include "base/error.h"
#include "base/json.h"
#include "exchange/formats.h"

namespace gpumonth::exchange {
namespace {

class MllogWriter {
 public:
  explicit MllogWriter(const Timeline& timeline) : timeline_(timeline), info_(timeline.run().info) {
    for (const auto* step : timeline.steps()) {
      if (step->phase != runlog::Phase::steady) continue;
      if (first_steady_ == nullptr) first_steady_ = step;
      last_steady_ = step;
      steady_s_ += step->step_time_s;
      steady_samples_ += static_cast<double>(step->samples);
      ++steady_steps_;
    }
    if (first_steady_ == nullptr)
      user_error("{}: none of these steps is steady, so that there is no throughput: choose others with --steps",
                 timeline.run().path);
  }

  std::string text() {
    write_header();
    interval("run_start", begin_s(*timeline_.steps().front()), {});
    for (const auto* step : timeline_.steps()) {
      if (step == first_steady_) interval("block_start", begin_s(*step), at(*step, samples_));
      samples_ += step->samples;
      write_loss(*step);
      if (step == last_steady_) write_block_end(*step);
    }
    const auto& last = *timeline_.steps().back();
    Json metadata = at(last, samples_);
    metadata["status"] = timeline_.run().clean_close ? "success" : "aborted";
    interval("run_stop", end_s(last), metadata);
    return std::move(text_);
  }

 private:
  static double begin_s(const runlog::StepRecord& step) { return step.start_time_s; }
  static double end_s(const runlog::StepRecord& step) { return step.start_time_s + step.step_time_s; }
  static Json at(const runlog::StepRecord& step, std::int64_t samples) {
    return {{"samples_count", samples}, {"step", step.step}};
  }

  void line(const char* type, const std::string& key, double time_s, const Json& value, Json metadata) {
    metadata["file"] = timeline_.run().path;
    const Json json{{"namespace", ""},    {"time_ms", std::llround((info_.start_time_unix_s + time_s) * 1e3)},
                    {"event_type", type}, {"key", key},
                    {"value", value},     {"metadata", metadata}};
    text_ += ":::MLLOG " + json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  }
  void point(const std::string& key, const Json& value) { line("POINT_IN_TIME", key, 0, value, Json::object()); }
  void interval(const std::string& key, double time_s, const Json& metadata) {
    line(key.ends_with("_start") ? "INTERVAL_START" : "INTERVAL_END", key, time_s, nullptr,
         metadata.is_null() ? Json::object() : metadata);
  }

  void write_header() {
    const int nodes = runlog::host_count(info_);
    point("submission_benchmark", info_.model_name);
    point("submission_platform", fmt::format("{}x{}", nodes, info_.device_name));
    point("origin", runlog::name(info_.origin));  // not MLPerf's: a replay or a simulation is no result
    point("number_of_ranks", info_.world_size);
    point("number_of_nodes", nodes);
    if (nodes > 0 && info_.world_size % nodes == 0) point("accelerators_per_node", info_.world_size / nodes);
    point("global_batch_size", info_.global_batch);
  }

  void write_loss(const runlog::StepRecord& step) {
    if (!std::isfinite(step.loss)) return;
    Json metadata = at(step, samples_);
    metadata["lr"] = step.learning_rate;
    line("POINT_IN_TIME", "tracked_stats", end_s(step), {{"train_loss", step.loss}}, metadata);
  }

  /// One block of all steady steps, so that its step time is the run's: sum of times over sum of samples.
  void write_block_end(const runlog::StepRecord& step) {
    const double throughput = steady_samples_ / steady_s_;
    const Json stats{{"train_step_time", static_cast<double>(info_.global_batch) / throughput},
                     {"throughput", throughput}};
    Json metadata = at(step, samples_);
    metadata["steady_steps"] = steady_steps_;
    line("POINT_IN_TIME", "tracked_stats", end_s(step), stats, metadata);
    interval("block_stop", end_s(step), at(step, samples_));
  }

  const Timeline& timeline_;
  const runlog::RunInfo& info_;
  const runlog::StepRecord *first_steady_ = nullptr, *last_steady_ = nullptr;
  double steady_s_ = 0, steady_samples_ = 0;
  std::int64_t steady_steps_ = 0, samples_ = 0;
  std::string text_;
};

}  // namespace

std::string to_mllog(const Timeline& timeline) { return MllogWriter(timeline).text(); }

}  // namespace gpumonth::exchange
