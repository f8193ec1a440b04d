// The trace is Chrome's JSON as Perfetto reads it: what its importer asks of a trace is checked here, and that the
// times and numbers are the log's. docs/exchange.md has a query of Perfetto's own trace processor.
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "exchange/formats.h"
#include "tests/catch.h"
#include "tests/exchange/made_run.h"

using namespace gpumonth;
using namespace gpumonth::exchange;
using nlohmann::json;

namespace {

json trace_of(const runlog::Run& run, const std::string& steps) {
  return json::parse(to_perfetto(Timeline(run, select_steps(run, steps, DefaultSteps::last_steady))));
}

std::vector<json> events(const json& trace, const std::string& phase) {
  std::vector<json> found;
  for (const auto& event : trace["traceEvents"])
    if (event["ph"] == phase) found.push_back(event);
  return found;
}

/// Name of a thread of a process, as its metadata has it.
std::map<std::pair<int, int>, std::string> thread_names(const json& trace) {
  std::map<std::pair<int, int>, std::string> names;
  for (const auto& event : events(trace, "M"))
    if (event["name"] == "thread_name") names[{event["pid"], event["tid"]}] = event["args"]["name"];
  return names;
}

}  // namespace

TEST_CASE("a trace shows ranks, computing, buckets waiting and on the wire") {
  const auto run = samples::made_run();
  const json trace = trace_of(run, "8:9");
  const auto names = thread_names(trace);
  std::map<std::string, double> sum_us;  // by thread and slice
  for (const auto& slice : events(trace, "X"))
    sum_us[names.at({slice["pid"], slice["tid"]}) + "/" + slice["name"].get<std::string>()] +=
        slice["dur"].get<double>();
  CHECK(sum_us["steps/step 8"] == Approx(1e6));
  CHECK(sum_us["computing/forward"] == Approx(0.5e6));
  CHECK(sum_us["computing/backward"] == Approx(0.6e6));
  CHECK(sum_us["computing/waiting for communication"] == Approx(0.3e6));
  CHECK(sum_us["buckets on the wire/bucket 1"] == Approx(0.1e6));
  CHECK(sum_us["buckets waiting/bucket 1"] == Approx(0.05e6));
  CHECK(sum_us["busy (placed at the step's start)/busy"] == Approx(2 * 0.77e6));
  std::set<std::string> processes;
  for (const auto& event : events(trace, "M"))
    if (event["name"] == "process_name") processes.insert(event["args"]["name"].get<std::string>());
  CHECK(processes == std::set<std::string>{"rank 0 on node0", "rank 1 on node1"});
  CHECK(trace["otherData"]["origin"] == "measured");
  CHECK(trace["otherData"]["notes"].size() == 2);
}

TEST_CASE("every slice says its step, and how much of it was measured") {
  const auto run = samples::made_run();
  for (const auto& slice : events(trace_of(run, "8"), "X")) {
    INFO(slice.dump());
    CHECK(slice["args"]["step"] == 8);
    if (slice["name"] == "busy") CHECK(slice["args"]["source"] == "placed");
    if (slice["name"] == "bucket 1") CHECK(slice["args"]["bytes"] == 1'000'001);
    if (slice["name"] == "forward") CHECK(slice["args"]["source"] == "measured");
  }
}

TEST_CASE("slices of one thread never overlap, and processes and threads are not 0") {
  auto run = samples::made_run(3);
  for (auto& bucket : run.buckets) {  // all wait for the first, and for each other
    bucket.ready_s = 0.3 + 0.01 * bucket.bucket;
    bucket.start_s = 0.4 + 0.1 * bucket.bucket + 1.23456789e-7;
    bucket.end_s = 0.5 + 0.1 * bucket.bucket + 1.23456789e-7;
  }
  for (auto& step : run.steps) step.start_time_s += 123'456.123456789;  // a day and a half later
  run.rank_step_time_s[3 * 7 + 1] = 1.125F;                             // of step 8: rank 1 began it before rank 0
  const json trace = trace_of(run, "1:20");
  std::map<std::pair<int, int>, std::vector<std::pair<std::int64_t, std::int64_t>>> by_thread;
  for (const auto& slice : events(trace, "X")) {
    const double begin = slice["ts"], length = slice["dur"];
    CHECK(length >= 0);
    // whole nanoseconds, cut off as Perfetto's json_utils does
    const auto begin_ns = static_cast<std::int64_t>(begin * 1000), length_ns = static_cast<std::int64_t>(length * 1000);
    by_thread[{slice["pid"], slice["tid"]}].emplace_back(begin_ns, begin_ns + length_ns);
  }
  std::set<int> numbers{0, 1, 2, 3};  // the idle task's and the processes'
  double busy_us = 0;
  for (const auto& [begin, end] : by_thread.at({2, 200'000'001})) busy_us += static_cast<double>(end - begin) / 1e3;
  CHECK(busy_us == Approx(19 * 0.77e6 + 1.125e6));
  for (auto& [thread, slices] : by_thread) {
    CHECK(thread.first > 0);
    CHECK(numbers.insert(thread.second).second);  // Perfetto knows a thread by its number alone
    std::ranges::sort(slices);
    for (std::size_t i = 1; i < slices.size(); ++i) CHECK(slices[i].first >= slices[i - 1].second);
  }
  CHECK(thread_names(trace).contains({1, 100'000'006}));  // three buckets wait at once: a third thread of them
}

TEST_CASE("loss and power are counters; what is no number is none") {
  auto run = samples::made_run();
  run.steps[6].loss = std::nan("");
  run.steps[7].power_w = 650;
  const json trace = trace_of(run, "7:9");
  std::vector<json> loss, power;
  for (const auto& event : events(trace, "C")) (event["name"] == "loss" ? loss : power).push_back(event);
  REQUIRE(loss.size() == 2);
  CHECK(loss[0]["args"]["mean"].get<double>() == 0.125);
  CHECK(loss[0]["ts"].get<double>() == Approx(8e6));
  REQUIRE(power.size() == 1);
  CHECK(power[0]["args"].begin().value() == 650);
  CHECK(power[0]["ts"].get<double>() == Approx(7e6));
}

TEST_CASE("names of a foreign log do no harm") {
  auto run = samples::made_run();
  run.path = "\xff\"\\\n.h5";
  run.info.hostnames = {"a\"b", "c\xc3"};
  CHECK(trace_of(run, "8")["traceEvents"].size() > 10);
  run.info.hostnames.clear();
  CHECK(trace_of(run, "8")["traceEvents"].size() > 10);
}
