// gpumonth export --mllog: lines as mlperf_logging writes them, and a throughput that import reads back.
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/error.h"
#include "exchange/formats.h"
#include "exchange/mllog_curve.h"
#include "runlog/summary.h"
#include "tests/catch.h"
#include "tests/exchange/made_run.h"

using namespace gpumonth;
using namespace gpumonth::exchange;
using gpumonth::tests::contains;
using nlohmann::json;

namespace {

std::string mllog_of(const runlog::Run& run, const std::string& steps = "") {
  return to_mllog(Timeline(run, select_steps(run, steps, DefaultSteps::all)));
}

std::vector<json> lines_of(const std::string& text) {
  std::vector<json> events;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    REQUIRE(line.starts_with(":::MLLOG {"));
    events.push_back(json::parse(line.substr(9)));
    for (const char* key : {"namespace", "time_ms", "event_type", "key", "value", "metadata"})
      CHECK(events.back().contains(key));
  }
  return events;
}

std::vector<json> with_key(const std::vector<json>& events, const std::string& key) {
  std::vector<json> found;
  for (const auto& event : events)
    if (event["key"] == key) found.push_back(event);
  return found;
}

}  // namespace

TEST_CASE("a run in MLPerf's form: header, losses, one block of the steady steps") {
  const auto run = samples::made_run();
  const auto events = lines_of(mllog_of(run));
  CHECK(with_key(events, "number_of_ranks").at(0)["value"] == 2);
  CHECK(with_key(events, "number_of_nodes").at(0)["value"] == 2);
  CHECK(with_key(events, "accelerators_per_node").at(0)["value"] == 1);
  CHECK(with_key(events, "global_batch_size").at(0)["value"] == 16);
  CHECK(with_key(events, "submission_benchmark").at(0)["value"] == "dit-s-2");
  CHECK(with_key(events, "origin").at(0)["value"] == "measured");
  const auto start = with_key(events, "run_start").at(0), stop = with_key(events, "run_stop").at(0);
  CHECK(start["time_ms"] == 1710504000250);
  CHECK(stop["time_ms"] == 1710504020250);
  CHECK(start["event_type"] == "INTERVAL_START");
  CHECK(stop["event_type"] == "INTERVAL_END");
  CHECK(stop["metadata"]["status"] == "success");
  CHECK(stop["metadata"]["samples_count"] == 320);
  CHECK(with_key(events, "block_start").at(0)["time_ms"] == 1710504003250);  // behind three steps of warm-up
  CHECK(with_key(events, "block_stop").at(0)["time_ms"] == 1710504019250);   // before the last checkpoint
  const auto stats = with_key(events, "tracked_stats");
  REQUIRE(stats.size() == 21);
  CHECK(stats[0]["value"]["train_loss"] == 1.0);
  CHECK(stats[0]["metadata"]["samples_count"] == 16);
  CHECK(stats[19]["value"]["train_step_time"].get<double>() == Approx(1.0));  // the last steady step is the 19th
  CHECK(stats[19]["value"]["throughput"].get<double>() == Approx(16.0));
}

TEST_CASE("import reads the throughput that fit has of the run, though steps differ in time and batch") {
  const gpumonth::tests::TemporaryFolder folder;
  auto run = samples::made_run();
  for (auto& step : run.steps) {
    step.step_time_s = 1 + 0.03 * static_cast<double>(step.step);
    if (step.step > 12) step.samples = 32;
  }
  const auto file = folder.write("run.txt", "0: some launcher's line\n" + mllog_of(run));
  const auto curve = curve_of_mllogs({file.string()}, {});
  REQUIRE(curve.points.size() == 1);
  CHECK(curve.points[0].ranks == 2);
  CHECK(curve.points[0].batch_per_rank == 8);
  CHECK(curve.points[0].samples_per_s == Approx(runlog::summarize(run).samples_per_s).epsilon(1e-12));
}

TEST_CASE("what is no number is left out, and a killed run is no success") {
  auto run = samples::made_run();
  run.steps[4].loss = std::nan("");
  run.clean_close = false;
  run.info.hostnames.clear();
  const auto events = lines_of(mllog_of(run));
  CHECK(with_key(events, "tracked_stats").size() == 20);
  CHECK(with_key(events, "run_stop").at(0)["metadata"]["status"] == "aborted");
  CHECK(with_key(events, "accelerators_per_node").empty());
}

TEST_CASE("steps without a steady one have no throughput") {
  const auto run = samples::made_run();
  CHECK_THROWS_AS(mllog_of(run, "1:3"), UserError);
}
