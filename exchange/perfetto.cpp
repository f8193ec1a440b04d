// A trace in Chrome's JSON format, which ui.perfetto.dev and chrome://tracing open. Times in us since the run's start.
//
// A process is a rank, a thread one kind of thing it does. Perfetto draws the slices of a thread only where they nest,
// and buckets wait for the wire at the same time: they are spread over as many threads as are needed.
#include <fmt/format.h>

#include <cmath>

#include "base/json.h"
#include "exchange/formats.h"

namespace gpumonth::exchange {
namespace {

/// Process 0 and thread 0 are the idle task's in Perfetto.
int process_of(int rank) { return rank + 1; }
enum Thread : int { kSteps = 1, kComputing = 2, kOnTheWire = 3, kWaiting = 4 };  // kWaiting and the ones behind it

/// us with three decimals. Ends are rounded and not durations, so that what follows each other does not overlap.
double microseconds(double seconds) { return std::round(seconds * 1e9) / 1e3; }

class PerfettoWriter {
 public:
  explicit PerfettoWriter(const Timeline& timeline) : timeline_(timeline) {}

  std::string text() {
    for (int rank = 0; rank < timeline_.ranks(); ++rank) name_rank(rank);
    for (const auto* step : timeline_.steps()) {
      add_step(*step);
      for (int rank = 0; rank < timeline_.ranks(); ++rank)
        for (const Operation& operation : timeline_.operations(*step, rank)) add(operation);
    }
    name_waiting_threads();
    const auto& run = timeline_.run();
    Json about{{"run", run.path}, {"origin", runlog::name(run.info.origin)}, {"model", run.info.model_name}};
    about["notes"] = timeline_.notes();
    return fmt::format("{{\"displayTimeUnit\": \"ms\", \"otherData\": {},\n\"traceEvents\": [\n{}\n]}}\n", dump(about),
                       events_);
  }

 private:
  static std::string dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

  void event(const Json& json) {
    if (!events_.empty()) events_ += ",\n";
    events_ += dump(json);
  }

  void name_thing(const char* what, int rank, int thread, const std::string& text, int place) {
    event({{"ph", "M"}, {"name", what}, {"pid", process_of(rank)}, {"tid", thread}, {"args", {{"name", text}}}});
    const std::string order = std::string(what).substr(0, std::string(what).find('_')) + "_sort_index";
    event(
        {{"ph", "M"}, {"name", order}, {"pid", process_of(rank)}, {"tid", thread}, {"args", {{"sort_index", place}}}});
  }

  void name_rank(int rank) {
    const auto& info = timeline_.run().info;
    const auto place = static_cast<std::size_t>(rank);
    const std::string host = place < info.hostnames.size() ? " on " + info.hostnames[place] : "";
    name_thing("process_name", rank, kSteps, fmt::format("rank {}{}", rank, host), rank);
    if (rank == 0) name_thing("thread_name", rank, kSteps, "steps", kSteps);
    name_thing("thread_name", rank, kComputing, rank == 0 ? "computing" : "busy (placed at the step's start)",
               kComputing);
    if (rank == 0 && timeline_.ranks() > 1)
      name_thing("thread_name", rank, kOnTheWire, "buckets on the wire", kOnTheWire);
  }

  void name_waiting_threads() {
    for (std::size_t lane = 0; lane < waiting_until_.size(); ++lane) {
      const int thread = kWaiting + static_cast<int>(lane);
      name_thing("thread_name", 0, thread, lane == 0 ? "buckets waiting" : fmt::format("buckets waiting {}", lane + 1),
                 thread);
    }
  }

  void slice(int rank, int thread, const std::string& label, double start_s, double end_s, const Json& args) {
    const double start = microseconds(start_s);
    event({{"ph", "X"},
           {"name", label},
           {"cat", "training"},
           {"pid", process_of(rank)},
           {"tid", thread},
           {"ts", start},
           {"dur", std::round((microseconds(end_s) - start) * 1e3) / 1e3},
           {"args", args}});
  }

  void counter(const char* what, double time_s, double value) {
    if (!std::isfinite(value)) return;
    event(
        {{"ph", "C"}, {"name", what}, {"pid", process_of(0)}, {"ts", microseconds(time_s)}, {"args", {{what, value}}}});
  }

  void add_step(const runlog::StepRecord& step) {
    const double end_s = step.start_time_s + step.step_time_s;
    Json args{{"step", step.step}, {"phase", name(step.phase)}, {"samples", step.samples}};
    if (std::isfinite(step.loss)) args["loss"] = step.loss;
    slice(0, kSteps, fmt::format("step {}", step.step), step.start_time_s, end_s, args);
    counter("loss", end_s, step.loss);
    counter("power of rank 0 (W)", step.start_time_s, step.power_w);
  }

  void add(const Operation& o) {
    Json args{{"step", o.step}, {"source", name(o.source)}};
    if (o.bucket >= 0) args[o.kind == Kind::backward ? "makes_ready_bucket" : "bucket"] = o.bucket;
    if (o.bytes > 0) args["bytes"] = o.bytes;
    if (o.kind == Kind::collective)
      args["collective"] = timeline_.reduction() == Reduction::all_reduce ? "all-reduce" : "reduce-scatter";
    const bool of_bucket = o.kind == Kind::bucket_wait || o.kind == Kind::collective;
    const std::string label = of_bucket ? fmt::format("bucket {}", o.bucket) : name(o.kind);
    slice(o.rank, thread_of(o), label, o.start_s, o.end_s(), args);
  }

  int thread_of(const Operation& o) {
    if (o.kind == Kind::collective) return kOnTheWire;
    if (o.kind != Kind::bucket_wait) return kComputing;
    std::size_t lane = 0;
    while (lane < waiting_until_.size() && o.start_s < waiting_until_[lane]) ++lane;
    if (lane == waiting_until_.size()) waiting_until_.push_back(0);
    waiting_until_[lane] = o.end_s();
    return kWaiting + static_cast<int>(lane);
  }

  const Timeline& timeline_;
  std::string events_;
  std::vector<double> waiting_until_;  // by thread that shows waiting buckets, s
};

}  // namespace

std::string to_perfetto(const Timeline& timeline) { return PerfettoWriter(timeline).text(); }

}  // namespace gpumonth::exchange
