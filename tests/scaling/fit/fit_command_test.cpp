// fit as a user runs it.
#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "runlog/writer.h"
#include "tests/budget/samples.h"
#include "tests/catch.h"
#include "tests/command.h"
#include "tests/scaling/fit/synthetic.h"

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
  CHECK_THAT(text.out, contains("log N"));
  CHECK_THAT(text.out, contains("Forecast"));
  const std::string exported = (folder.path() / "e.csv").string();
  CHECK(run_command(kFit + "--csv " + csv.string() + " --export-csv " + exported).exit_code == 0);
  CHECK(run_command(kFit + "--csv " + exported + " --json").out ==
        run_command(kFit + "--csv " + exported + " --json").out);
  const auto again = run_command(kFit + "--csv " + csv.string() + " --export-csv " + exported);
  CHECK(again.exit_code == 2);
  CHECK_THAT(again.err, contains("e.csv: exists already"));
}

TEST_CASE("gpumonth fit converts, exports and asks", "[command]") {
  const tests::TemporaryFolder folder;
  const auto csv = folder.write("gpu.csv", "GPUs;tokens/s/GPU\n1;100,5\n2;98,5\n8;93,25\n").string();
  const std::string exported = (folder.path() / "e.csv").string();
  const auto text = run_command(kFit + "--csv " + csv + " --predict 16,384 --export-csv " + exported);
  REQUIRE(text.exit_code == 0);
  CHECK_THAT(text.out, contains("746") && contains("was multiplied by the ranks"));
  CHECK_THAT(text.out, contains("--predict 16,384 is two numbers"));
  const auto again = nlohmann::json::parse(run_command(kFit + "--csv " + exported + " --json").out);
  CHECK(again["curve"]["unit"] == "tokens/s");
  CHECK(again["curve"]["points"][2]["samples_per_s"] == 746);
  CHECK(again["notes"].empty());
  const auto logs = folder.write("time.csv", "ranks,samples_per_s,unit\n1,10,hours\n8,2,hours\n").string();
  for (const std::string& arguments : {"--csv " + logs, "--csv " + csv + " --predict 1,024:4",
                                       "--csv " + csv + " --predict 0x10", "--csv " + csv + " --predict 8:1e300"}) {
    INFO(arguments);
    const auto refused = run_command(kFit + arguments);
    CHECK(refused.exit_code == 2);
    CHECK(refused.out.empty());
    CHECK(std::count(refused.err.begin(), refused.err.end(), '\n') == 1);
  }
}

TEST_CASE("gpumonth fit on run logs", "[command]") {
  const tests::TemporaryFolder folder;
  NormalDraws normal(31);
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
           "--csv " + csv.string() + " --validate " + csv.string(), "--validate " + csv.string(), csv.string(),
           "--csv " + csv.string() + " --export-csv " + (folder.path() / "no" / "x.csv").string()}) {
    INFO(arguments);
    const auto result = run_command(kFit + arguments);
    CHECK(result.exit_code == 2);
    CHECK(result.out.empty());
    CHECK(std::count(result.err.begin(), result.err.end(), '\n') == 1);
  }
}
