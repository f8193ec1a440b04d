// fit as a user runs it.
#include <filesystem>
#include <nlohmann/json.hpp>

#include "runlog/writer.h"
#include "tests/budget/fit/synthetic.h"
#include "tests/budget/samples.h"
#include "tests/catch.h"
#include "tests/command.h"

using namespace gpumonth;
using tests::contains;
using tests::run_command;

namespace {
const std::string kFit = std::string(GPUMONTH_BINARY) + " fit ";
}

TEST_CASE("gpumonth fit on a table", "[command]") {
  const tests::TemporaryFolder folder;
  const auto csv =
      folder.write("sweep.csv", "ranks,samples_per_s,batch_per_rank\n1,10,4\n2,19.5,4\n4,38,4\n4,38.4,4\n");
  const auto json = run_command(kFit + "--csv " + csv.string() + " --predict 8,16:2 --json");
  REQUIRE(json.exit_code == 0);
  const auto out = nlohmann::json::parse(json.out);
  REQUIRE(out["predictions"].size() == 2);
  for (const auto& p : out["predictions"]) {
    CHECK(p["low"].get<double>() < p["samples_per_s"].get<double>());
    CHECK(p["high"].get<double>() > p["samples_per_s"].get<double>());
    CHECK(p["efficiency"].get<double>() <= 1.05);
  }
  CHECK(out["predictions"][1]["batch_per_rank"] == 2);
  CHECK(out["baseline_ideal"][0]["samples_per_s"].get<double>() == Approx(2 * 38.2));
  CHECK_FALSE(out["baseline_ideal"][0].contains("low"));
  const auto text = run_command(kFit + "--csv " + csv.string());
  CHECK(text.exit_code == 0);
  CHECK(text.err.empty());
  CHECK_THAT(text.out, contains("log2 N"));
  CHECK_THAT(text.out, contains("Forecast"));
  const std::string exported = (folder.path() / "e.csv").string();
  CHECK(run_command(kFit + "--csv " + csv.string() + " --export-csv " + exported).exit_code == 0);
  CHECK(run_command(kFit + "--csv " + exported + " --json").out ==
        run_command(kFit + "--csv " + exported + " --json").out);
  CHECK(run_command(kFit + "--csv " + csv.string() + " --export-csv " + exported).exit_code == 2);
}

TEST_CASE("gpumonth fit on run logs", "[command]") {
  const tests::TemporaryFolder folder;
  budget::NormalDraws normal(31);
  std::string files;
  for (const int ranks : {1, 2, 4}) {
    const auto run = tests::component_log({}, ranks, 4, 80, normal);
    const auto file = folder.path() / run.path;
    runlog::Writer writer(file, run.info);
    for (const auto& step : run.steps) writer.step(step);
    writer.buckets(run.buckets);
    writer.close();
    files += file.string() + " ";
  }
  const auto result = run_command(kFit + files + "--predict 8 --json");
  INFO(result.err);
  REQUIRE(result.exit_code == 0);
  const auto out = nlohmann::json::parse(result.out);
  CHECK(out["shapes"].back()["shape"] == "components");
  CHECK(out["components"]["runs"].size() == 3);
  CHECK(run_command(kFit + files).exit_code == 0);
}

TEST_CASE("mistakes of gpumonth fit exit with 2 and one line", "[command]") {
  const tests::TemporaryFolder folder;
  const auto csv = folder.write("t.csv", "ranks,samples_per_s\n1,10\n2,19\n");
  const auto bad = folder.write("bad.csv", "ranks,speed\n1,10\n");
  const auto many = tests::source_path("configs/published/scaling.csv");
  for (const std::string& arguments : std::vector<std::string>{
           "", "--csv " + bad.string(), "--csv none.csv", "--csv " + folder.path().string(), "--csv " + many,
           "--csv " + many + " --curve mlperf_sd2", "--csv " + csv.string() + " --predict 0",
           "--csv " + csv.string() + " --validate " + csv.string(), "--validate " + csv.string(),
           csv.string(),
           "--csv " + csv.string() + " --export-csv " + (folder.path() / "no" / "x.csv").string()}) {
    INFO(arguments);
    const auto result = run_command(kFit + arguments);
    CHECK(result.exit_code == 2);
    CHECK(result.out.empty());
    CHECK(std::count(result.err.begin(), result.err.end(), '\n') == 1);
  }
}
