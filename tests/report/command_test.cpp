// budget and report as a user runs them.
#include "tests/command.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "runlog/writer.h"
#include "tests/budget/samples.h"
#include "tests/catch.h"

using namespace gpumonth;
using tests::contains;
using tests::run_command;

namespace {

const std::string kBinary = GPUMONTH_BINARY;
const std::string kScenario = tests::source_path("configs/scenarios/sora-2024.toml");

std::string write_log(const tests::TemporaryFolder& folder, double mfu, int ranks) {
  const auto run = tests::make_run(mfu, ranks);
  const auto file = folder.path() / run.path;
  runlog::write(file, run);
  return file.string();
}

}  // namespace

TEST_CASE("gpumonth budget prints text and JSON", "[command]") {
  const tests::TemporaryFolder folder;
  const std::string log = write_log(folder, 0.4, 1);
  const auto text = run_command(kBinary + " budget " + kScenario);
  CHECK(text.exit_code == 0);
  CHECK(text.err.empty());
  CHECK_THAT(text.out, contains("4,211"));
  const auto json =
      run_command(kBinary + " budget " + kScenario + " --json --runs " + log + " --set training.data_factor=5");
  REQUIRE(json.exit_code == 0);
  const auto out = nlohmann::json::parse(json.out);
  CHECK(out["runs"][0]["mfu"].get<double>() == Approx(0.4));
  CHECK(out["rungs"][0]["low"] == out["rungs"][0]["high"]);
}

TEST_CASE("gpumonth budget --gpus and --backtest", "[command]") {
  const auto sweep = run_command(kBinary + " budget " + kScenario + " --json --gpus 512,1024,16384");
  REQUIRE(sweep.exit_code == 0);
  const auto out = nlohmann::json::parse(sweep.out);
  REQUIRE(out["sweep"].size() == 3);
  CHECK(out["sweep"][2]["gpus"] == 16384);
  CHECK(out["sweep"][2]["days"]["median"] < out["sweep"][0]["days"]["median"]);
  const auto one = nlohmann::json::parse(run_command(kBinary + " budget " + kScenario + " --json --gpus 512").out);
  CHECK(one["rungs"].back()["median"].get<double>() == Approx(out["sweep"][0]["gpu_months"]["median"].get<double>()));
  const auto recipe = tests::source_path("configs/published/recipes/opensora2-s1.toml");
  const auto tested = run_command(kBinary + " budget --json --backtest " + recipe);
  REQUIRE(tested.exit_code == 0);
  CHECK(nlohmann::json::parse(tested.out)["rows"][0]["disclosed_gpu_hours"] == 53760);
  const auto shipped = run_command(kBinary + " budget --backtest");
  if (shipped.exit_code == 0)
    CHECK_THAT(shipped.out, contains("PixArt-alpha"));
  else
    CHECK_THAT(shipped.err, contains("configs/published/recipes was not found"));
}

TEST_CASE("mistakes exit with 2 and one line", "[command]") {
  const tests::TemporaryFolder folder;
  const auto foreign = folder.write("foreign.h5", "not HDF5");
  for (const std::string& arguments : std::vector<std::string>{
           " budget " + folder.path().string() + "/none.toml", " budget " + kScenario + " --set training.data_facto=3",
           " budget " + kScenario + " --runs " + foreign.string(),
           " budget " + kScenario + " --runs " + folder.path().string() + "/none.h5",
           " budget " + kScenario + " --gpus 0", " budget " + kScenario + " --gpus 512,,1024",
           " budget " + kScenario + " --gpus 5.5", " budget " + kScenario + " --gpus 1,024",
           " budget " + kScenario + " --set hardware.peak_flops_per_s=989.4",
           " budget " + kScenario + " --set cost.gpus=64.6", " budget " + kScenario + " --set goodput.failure_rate=0.1",
           " budget " + kScenario + " --gpus 100001", " budget " + kScenario + " --set plan.replica_gpus=1",
           " budget " + kScenario + " --set scaling.curve_name=none", " budget", " budget --backtest " + kScenario,
           " report " + foreign.string() + " -o " + folder.path().string() + "/r.html",
           " report " + foreign.string() + " -o " + foreign.string()}) {
    INFO(arguments);
    const auto result = run_command(kBinary + arguments);
    CHECK(result.exit_code == 2);
    CHECK(result.out.empty());
    CHECK(std::count(result.err.begin(), result.err.end(), '\n') == 1);
  }
  CHECK_FALSE(std::filesystem::exists(folder.path() / "r.html"));
}

TEST_CASE("gpumonth report writes one page", "[command]") {
  const tests::TemporaryFolder folder;
  const std::string logs = write_log(folder, 0.4, 1) + " " + write_log(folder, 0.3, 2);
  const std::string command =
      kBinary + " report " + logs + " -o " + folder.path().string() + "/r.html --scenario " + kScenario;
  const auto first = run_command(command);
  INFO(first.err);
  CHECK(first.exit_code == 0);
  CHECK(std::filesystem::file_size(folder.path() / "r.html") > 50000);
  const auto again = run_command(command);
  CHECK(again.exit_code == 2);
  CHECK_THAT(again.err, contains("r.html: exists already"));
  CHECK(run_command(command + " --force").exit_code == 0);
}
