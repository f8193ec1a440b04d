// A trace in Chrome's JSON format, which ui.perfetto.dev and chrome://tracing open. Times in us since the run's start.
//
// A process is a rank, a thread one kind of thing it does. Perfetto draws the slices of a thread only where they nest,
// and buckets wait for the wire at the same time: they are spread over as many threads as are needed.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "base/json.h"
#include "exchange/formats.h"

namespace gpumonth::exchange {
namespace {

// Perfetto knows threads by their number alone, and a process has a thread of its own number: so a number is one
// process or one thread of one process, and none is 0, the idle task's.
int process_of(int rank) { return rank + 1; }
constexpr int kFirstThread = 100'000'000;
enum Lane : int { kSteps = 1, kComputing = 2, kOnTheWire = 3, kWaiting = 4 };  // kWaiting and all behind it; rank 0's
int thread_number(int rank, int lane) { return kFirstThread + (rank == 0 ? lane : kFirstThread + rank); }

/// us with three decimals, and a quarter of a nanosecond, as Perfetto cuts off what is below one. Ends are rounded and
/// not durations, so that what follows each other does not overlap.
double microseconds(std::int64_t ns) { return (static_cast<double>(ns) + 0.25) / 1e3; }
std::int64_t nanoseconds(double seconds) { return std::llround(seconds * 1e9); }

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
    // first, as old importers stop at keys behind the events; no displayTimeUnit, which some took for the unit of ts
    return fmt::format("{{\"otherData\": {},\n\"traceEvents\": [\n{}\n]}}\n", dump(about), events_);
  }

 private:
  static std::string dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

  void event(const Json& json) {
    if (!events_.empty()) events_ += ",\n";
    events_ += dump(json);
  }

  void name_thing(const char* what, int rank, int lane, const std::string& text, int place) {
    event({{"ph", "M"},
           {"name", what},
           {"pid", process_of(rank)},
           {"tid", thread_number(rank, lane)},
           {"args", {{"name", text}}}});
    const std::string order = std::string(what).substr(0, std::string(what).find('_')) + "_sort_index";
    event({{"ph", "M"},
           {"name", order},
           {"pid", process_of(rank)},
           {"tid", thread_number(rank, lane)},
           {"args", {{"sort_index", place}}}});
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
      const int number = kWaiting + static_cast<int>(lane);
      name_thing("thread_name", 0, number, lane == 0 ? "buckets waiting" : fmt::format("buckets waiting {}", lane + 1),
                 number);
    }
  }

  /// Where the log's times contradict each other, as another rank's step may begin before rank 0's does, a slice begins
  /// when the one before it on its thread is over: it keeps its length.
  void slice(int rank, int lane, const std::string& label, double start_s, double end_s, const Json& args) {
    double& free_s = free_s_[{rank, lane}];
    const double late_s = std::max(0.0, free_s - start_s);
    start_s += late_s;
    end_s += late_s;
    free_s = end_s;
    const std::int64_t start_ns = nanoseconds(start_s);
    event({{"ph", "X"},
           {"name", label},
           {"cat", "training"},
           {"pid", process_of(rank)},
           {"tid", thread_number(rank, lane)},
           {"ts", microseconds(start_ns)},
           {"dur", microseconds(nanoseconds(end_s) - start_ns)},
           {"args", args}});
  }

  /// Perfetto shows both words: "loss mean".
  void counter(const char* what, const char* unit, double time_s, double value) {
    if (!std::isfinite(value)) return;
    const double time_us = microseconds(nanoseconds(time_s));
    event({{"ph", "C"}, {"name", what}, {"pid", process_of(0)}, {"ts", time_us}, {"args", {{unit, value}}}});
  }

  void add_step(const runlog::StepRecord& step) {
    const double end_s = step.start_time_s + step.step_time_s;
    Json args{{"step", step.step}, {"phase", name(step.phase)}, {"samples", step.samples}};
    if (std::isfinite(step.loss)) args["loss"] = step.loss;
    slice(0, kSteps, fmt::format("step {}", step.step), step.start_time_s, end_s, args);
    counter("loss", "mean", end_s, step.loss);
    counter("power of rank 0", "W", step.start_time_s, step.power_w);
  }

  void add(const Operation& o) {
    Json args{{"step", o.step}, {"source", name(o.source)}};
    if (o.bucket >= 0) args[o.kind == Kind::backward ? "makes_ready_bucket" : "bucket"] = o.bucket;
    if (o.bytes > 0) args["bytes"] = o.bytes;
    if (o.kind == Kind::collective)
      args["collective"] = timeline_.reduction() == Reduction::all_reduce ? "all-reduce" : "reduce-scatter";
    const bool of_bucket = o.kind == Kind::bucket_wait || o.kind == Kind::collective;
    const std::string label = of_bucket ? fmt::format("bucket {}", o.bucket) : name(o.kind);
    slice(o.rank, lane_of(o), label, o.start_s, o.end_s(), args);
  }

  int lane_of(const Operation& o) {
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
  std::map<std::pair<int, int>, double> free_s_;  // by rank and thread: the end of its last slice
  std::vector<double> waiting_until_;             // by thread that shows waiting buckets, s
};

}  // namespace

std::string to_perfetto(const Timeline& timeline) { return PerfettoWriter(timeline).text(); }

}  // namespace gpumonth::exchange
