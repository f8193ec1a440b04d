// A run log is a foreign file: what no run can have measured is refused on reading, in one line that names file, column
// and step.
#include <cmath>
#include <limits>
#include <vector>

#include "base/error.h"
#include "runlog/reader.h"
#include "runlog/schema.h"
#include "tests/catch.h"
#include "tests/command.h"
#include "tests/runlog/foreign.h"
#include "tests/runlog/samples.h"

using namespace gpumonth;
using namespace gpumonth::runlog;
using gpumonth::tests::contains;
using gpumonth::tests::TemporaryFolder;

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN(), kInfinity = std::numeric_limits<double>::infinity();

/// 40 metered steps of two ranks, with buckets, rank times and a sweep of all-gathers.
Run whole_run() {
  Run run;
  run.info = samples::info(2);
  run.info.power_source = "NVML";
  run.info.small_batch = 4;
  run.info.sequence_ranks = 2;
  run.info.gathers_weights = true;
  run.comm = {"all_gather", "all-gather", {{1 << 20, 10, 1e-3, 1e-3, 2e-3, 1}}};
  for (int n = 1; n <= 40; ++n) {
    run.steps.push_back(samples::metered_step(n));
    StepRecord& step = run.steps.back();
    step.gather_s = step.exposed_gather_s = 1e-3;
    step.gathered_bytes = step.reduced_bytes = 1e6;
    if (n % 10 != 0) continue;
    run.buckets.push_back({n, 0, 1 << 20, 0.01, 0.02, 0.03});
    run.rank_steps.push_back(n);
    for (const float s : {0.04f, 0.05f}) run.rank_step_time_s.push_back(s);
  }
  return run;
}

class Log {
 public:
  Log() { runlog::write(file_, whole_run()); }
  samples::Changed changed() const { return samples::Changed(file_); }
  /// The message; empty where the log is read.
  std::string refusal() const {
    try {
      read(file_);
      return "";
    } catch (const UserError& error) {
      return error.what();
    }
  }

 private:
  TemporaryFolder folder_;
  std::filesystem::path file_ = folder_.path() / "foreign.h5";
};

std::string refusal_of(const std::string& dataset, hsize_t place, double value) {
  const Log log;
  log.changed().element(dataset, place, value);
  return log.refusal();
}

template <class Value>
std::string refusal_of_attribute(const std::string& name, const Value& value) {
  const Log log;
  log.changed().attribute(name, value);
  return log.refusal();
}

/// Names file and thing, in one line without the words that no reader can use.
void check_message(const std::string& message, const std::string& what) {
  INFO(what << ": " << message);
  CHECK_THAT(message, contains("foreign.h5"));
  CHECK_THAT(message, contains(what));
  CHECK(message.find('\n') == std::string::npos);
  for (const char* word : {"nan", "inf", "-2147483648"}) CHECK(message.find(word) == std::string::npos);
}

}  // namespace

TEST_CASE("a whole log is read", "[foreign]") { CHECK(Log().refusal().empty()); }

TEST_CASE("values of steps that no run has are refused by file, column and step", "[foreign]") {
  const std::vector<double> none = {kNan, kInfinity, -kInfinity, -1, 0};
  std::vector<std::pair<std::string, std::vector<double>>> refused = {{"step_time_s", none},
                                                                      {"model_flops", none},
                                                                      {"hardware_flops", none},
                                                                      {"samples", {-4, 0}},
                                                                      {"tokens", {-1, 0}},
                                                                      {"start_time_s", {kNan, kInfinity, -1}},
                                                                      {"learning_rate", {kNan, kInfinity, -1e-4}}};
  for (const char* part : {"data_s", "forward_s", "backward_s", "comm_s", "exposed_comm_s", "optimizer_s"})
    refused.push_back({part, {kNan, kInfinity, -1e-3, 1e9}});
  for (const char* meter : {"energy_j", "power_w", "sm_clock_mhz"}) refused.push_back({meter, {kInfinity, -1}});
  refused.push_back({"temperature_c", {kInfinity, -300}});
  refused.push_back({"clock_limit", {kInfinity, -1, 4}});
  for (const char* gathers : {"gather_s", "exposed_gather_s", "gathered_bytes", "reduced_bytes"})
    refused.push_back({gathers, {kNan, kInfinity, -1}});
  refused.push_back({"phase", {3, 255}});
  for (const auto& [column, values] : refused)
    for (const double value : values) {
      INFO(column << " = " << value);
      const std::string message = refusal_of("/steps/" + column, 16, value);
      check_message(message, "/steps/" + column);
      CHECK_THAT(message, contains("step 17 "));
    }
}

TEST_CASE("what may be missing, and the loss of a run that diverged, is read", "[foreign]") {
  for (const char* column : {"loss", "grad_norm", "small_grad_norm"})
    for (const double value : {kNan, kInfinity, -kInfinity, 1e300})
      CHECK(refusal_of(std::string("/steps/") + column, 39, value).empty());
  for (const char* column : {"energy_j", "power_w", "sm_clock_mhz", "temperature_c", "clock_limit"})
    CHECK(refusal_of(std::string("/steps/") + column, 3, kNan).empty());
  for (const char* part : {"data_s", "comm_s", "exposed_comm_s"})
    CHECK(refusal_of(std::string("/steps/") + part, 3, 0).empty());
  for (const char* peak : {"peak_flops_per_s", "gemm_peak_flops_per_s"})
    CHECK(refusal_of_attribute(peak, std::vector<double>{kNan}).empty());
}

TEST_CASE("every column of every table has a range that its own records keep, and NaN breaks", "[foreign]") {
  const auto check = [](const auto& columns, const auto& record) {
    for (const auto& column : columns) {
      INFO(column.name);
      const double value = std::visit([&](auto member) { return static_cast<double>(record.*member); }, column.member);
      CHECK(column.range.contains(value));
      CHECK(column.range.low < column.range.high);
    }
  };
  const Run run = whole_run();
  check(step_columns({.power = PowerColumns::all, .small_grad_norm = true, .exchange = true, .gathers = true}),
        run.steps[10]);
  check(bucket_columns(), run.buckets[0]);
  check(comm_columns(), run.comm.rows[0]);
}

TEST_CASE("a sweep that does not say of what is one of all-reduces, as logs had before there were others",
          "[foreign]") {
  const TemporaryFolder folder;
  const auto file = folder.path() / "sweep.h5";
  runlog::write(file, whole_run());
  CHECK(read(file).comm.operation == "all_gather");
  samples::Changed(file).without("operation", "/comm");
  CHECK(read(file).comm.operation == "all_reduce");
  CHECK(read(file).comm.rows.size() == 1);
}

TEST_CASE("numbers too large for what reads them are refused, not wrapped", "[foreign]") {
  const std::vector<std::uint64_t> huge(40, ~std::uint64_t{0});
  for (const char* column : {"/steps/samples", "/steps/tokens", "/steps/step"}) {
    const Log log;
    log.changed().column(column, huge);
    check_message(log.refusal(), column);
  }
  const Log floats;
  floats.changed().column("/steps/samples", std::vector<double>(40, 1.5));
  check_message(floats.refusal(), "/steps/samples");
  const Log integers;
  integers.changed().column("/steps/step_time_s", std::vector<std::int64_t>(40, 1));
  check_message(integers.refusal(), "/steps/step_time_s");
}

TEST_CASE("steps and start times do not go backwards", "[foreign]") {
  check_message(refusal_of("/steps/step", 5, 3), "step 3 follows step 5");
  check_message(refusal_of("/steps/start_time_s", 5, 0.001), "start_time_s of step 6");
}

TEST_CASE("buckets, rank times and all-reduces are checked too", "[foreign]") {
  for (const auto& [dataset, value] : std::vector<std::pair<std::string, double>>{{"/buckets/bucket", -1},
                                                                                  {"/buckets/bucket", 1e9},
                                                                                  {"/buckets/bytes", -1},
                                                                                  {"/buckets/step", 0},
                                                                                  {"/buckets/ready_s", kNan},
                                                                                  {"/buckets/start_s", kInfinity},
                                                                                  {"/buckets/end_s", -1},
                                                                                  {"/ranks/step_time_s", kNan},
                                                                                  {"/ranks/step_time_s", kInfinity},
                                                                                  {"/ranks/step_time_s", -0.01},
                                                                                  {"/comm/mean_s", kNan},
                                                                                  {"/comm/correct", 2},
                                                                                  {"/comm/repeats", 0}})
    check_message(refusal_of(dataset, 0, value), dataset);
  CHECK_THAT(refusal_of("/ranks/step_time_s", 3, kNan), contains("step 20 and rank 1"));
}

TEST_CASE("numbers of the root that no run has are refused by name", "[foreign]") {
  for (const auto& [name, values] : std::vector<std::pair<std::string, std::vector<double>>>{
           {"world_size", {0, -1, 1e9, 2.5, kNan, kInfinity}},
           {"threads_per_rank", {0, -1, 1e9}},
           {"global_batch", {-1, kNan}},
           {"small_batch", {0, -1, 2.5, kNan}},
           {"sequence_ranks", {0, -1, 2.5, kNan}},
           {"parameters", {-1, kInfinity}},
           {"peak_flops_per_s", {0, -1, kInfinity, 989.4, 989400}},  // in TFLOP/s, in GFLOP/s
           {"gemm_peak_flops_per_s", {0, -5e12, kInfinity}},
           {"start_time_unix_s", {kNan, -1, kInfinity}}})
    for (const double value : values) {
      INFO(value);
      check_message(refusal_of_attribute(name, std::vector<double>{value}), name);
    }
  check_message(refusal_of_attribute("world_size", std::vector<std::int64_t>{std::int64_t{1} << 40}), "world_size");
  check_message(refusal_of_attribute("world_size", std::vector<std::int64_t>{2, 2}), "world_size");
  check_message(refusal_of_attribute("world_size", std::string("2")), "world_size");
}

TEST_CASE("texts that are missing, no text, or megabytes long are refused, empty ones are read", "[foreign]") {
  for (const char* name : {"model_name", "device_name", "dtype", "config_toml", "hostnames", "peak_source"}) {
    const Log missing;
    missing.changed().without(name);
    check_message(missing.refusal(), name);
    check_message(refusal_of_attribute(name, std::vector<double>{1}), name);
  }
  for (const char* name : {"model_name", "device_name", "dtype", "config_toml", "peak_source", "start_time_utc"}) {
    check_message(refusal_of_attribute(name, std::string(3 << 20, 'x')), name);
    CHECK(refusal_of_attribute(name, std::string()).empty());
  }
}
