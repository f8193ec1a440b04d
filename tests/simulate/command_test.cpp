// gpumonth simulate as a user runs it.
#include "tests/command.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "runlog/reader.h"
#include "tests/catch.h"
#include "tests/simulate/samples.h"

using namespace gpumonth;
using tests::contains;
using tests::run_command;

namespace {

const std::string kBinary = GPUMONTH_BINARY;
const std::string kDgx = std::string(GPUMONTH_SOURCE_DIR) + "/configs/clusters/dgx-h100.toml";
const std::string kNetlab = std::string(GPUMONTH_SOURCE_DIR) + "/configs/clusters/netlab.toml";

struct Recorded {
  tests::TemporaryFolder folder;
  std::string log = (folder.path() / "run.h5").string(), comm = (folder.path() / "comm.h5").string(),
              out = (folder.path() / "out").string();
  Recorded() {
    runlog::write(log, tests::sample_run(2));
    runlog::write(comm, tests::comm_log("", 1, 2, [](double bytes) { return 2 * 80e-6 + bytes / 2e8; }));
  }
  std::string command(const std::string& cluster, const std::string& rest) const {
    return kBinary + " simulate " + log + " --cluster " + cluster + " -o " + out + " " + rest;
  }
};

}  // namespace

TEST_CASE("simulate writes a log for each number of ranks, which fit reads") {
  const Recorded recorded;
  const auto result = run_command(recorded.command(kDgx, "--ranks 8,16,64 --json"));
  INFO(result.err);
  REQUIRE(result.exit_code == 0);
  const auto json = nlohmann::json::parse(result.out);
  REQUIRE(json["rows"].size() == 3);
  CHECK(json["rows"][2]["ranks"] == 64);
  CHECK(json["rows"][2]["hosts"] == 8);
  CHECK(json["rows"][0]["efficiency"].get<double>() <= 1.001);
  CHECK(json["rows"][2]["efficiency"].get<double>() < json["rows"][0]["efficiency"].get<double>());
  CHECK(json["between"]["tag"] == "published");
  CHECK_THAT(json["notes"].dump(), contains("ready times of buckets"));
  std::string logs;
  for (const auto& row : json["rows"]) logs += " " + row["log"].get<std::string>();
  const auto fit = run_command(kBinary + " fit --json" + logs + " --predict 128");
  INFO(fit.err);
  REQUIRE(fit.exit_code == 0);
  CHECK(nlohmann::json::parse(fit.out)["predictions"][0]["ranks"] == 128);
}

TEST_CASE("simulate prints a table, and calibrates its links") {
  const Recorded recorded;
  const auto result = run_command(recorded.command(kNetlab, "--ranks 2,4 --steps 4 --calibrate " + recorded.comm));
  INFO(result.err);
  REQUIRE(result.exit_code == 0);
  CHECK_THAT(result.out, contains("200 MB/s and 80.0 us"));
  CHECK_THAT(result.out, contains("11 measured sizes"));
  CHECK_THAT(result.out, contains("simulated-n4.h5"));
}

TEST_CASE("full sharding is a what-if, of one group or several") {
  const Recorded recorded;
  const auto result = run_command(recorded.command(kDgx, "--ranks 16 --steps 2 --sharding full --json"));
  INFO(result.err);
  REQUIRE(result.exit_code == 0);
  CHECK_THAT(result.out, contains("one group of all ranks"));
  const auto run = runlog::read(recorded.out + "/simulated-n16.h5");
  CHECK(run.info.source_changes.starts_with("sharding full; 16 "));
  CHECK_THAT(run.info.config_toml, contains("sharding = \"full\""));
  const auto groups =
      run_command(recorded.command(kDgx, "--ranks 32 --steps 2 --sharding full --shard-group 8 --json"));
  INFO(groups.err);
  REQUIRE(groups.exit_code == 0);
  CHECK_THAT(groups.out, contains("groups of 8 ranks"));
}

TEST_CASE("a sharded optimizer is a what-if") {
  const Recorded recorded;
  const auto result = run_command(recorded.command(kDgx, "--ranks 16 --steps 2 --sharding optimizer --json"));
  INFO(result.err);
  REQUIRE(result.exit_code == 0);
  CHECK_THAT(result.out, contains("one all-gather"));  // the log is of CPU ranks
  CHECK(runlog::read(recorded.out + "/simulated-n16.h5").info.source_changes.starts_with("sharding optimizer; 16 "));
  const auto unknown = run_command(recorded.command(kDgx, "--ranks 32 --sharding gradients"));
  CHECK(unknown.exit_code == 2);
  CHECK_THAT(unknown.err, contains("--sharding") && contains("gradients"));
  // and an export of it does not call its buckets all-reduces
  const std::string trace = recorded.out + "/trace.json";
  REQUIRE(run_command(fmt::format("{} export {}/simulated-n16.h5 --perfetto {}", GPUMONTH_BINARY, recorded.out, trace))
              .exit_code == 0);
  CHECK(run_command("grep -q reduce-scatter " + trace).exit_code == 0);
  CHECK(run_command("grep -q all-reduce " + trace).exit_code == 1);
}

TEST_CASE("a cluster's keys are documented") {
  const auto help = run_command(kBinary + " simulate --help-config");
  CHECK(help.exit_code == 0);
  CHECK_THAT(help.out, contains("oversubscription"));
}

TEST_CASE("mistakes of simulate: one line, exit code 2, no log") {
  const Recorded recorded;
  auto idle = tests::sample_run(2);
  for (auto& step : idle.steps) step.phase = runlog::Phase::warm_up;
  const std::string warm = (recorded.folder.path() / "warm.h5").string();
  runlog::write(warm, idle);
  const std::string typo = recorded.folder.write("typo.toml", "[betwen]\n").string();
  const auto mistake = [&](const std::string& command, const std::string& says) {
    const auto result = run_command(command);
    INFO(command << "\n" << result.err);
    CHECK(result.exit_code == 2);
    CHECK(result.out.empty());
    CHECK(std::count(result.err.begin(), result.err.end(), '\n') == 1);
    CHECK_THAT(result.err, contains(says));
    CHECK_FALSE(std::filesystem::exists(recorded.out + "/simulated-n8.h5"));
  };
  mistake(recorded.command(kDgx, "--ranks 8,16392"), "cannot hold 16392 ranks");
  mistake(recorded.command(kDgx, "--ranks 12"), "give 8 or 16");
  mistake(recorded.command(kDgx, "--ranks 0"), "is not a number of GPUs");
  mistake(recorded.command(kDgx, "--ranks 8,,16"), "--ranks");
  mistake(recorded.command(typo, "--ranks 8"), "between");
  mistake(recorded.command("none.toml", "--ranks 8"), "none.toml");
  mistake(recorded.command(kDgx, "--ranks 8 --set between.bandwith.value=1e9"), "between.bandwidth");
  mistake(recorded.command(kDgx, "--ranks 8 --calibrate " + recorded.log), "no collective");
  mistake(recorded.command(kDgx, "--ranks 8 --compute-scale 0"), "compute-scale");
  mistake(recorded.command(kDgx, "--ranks 8 --steps 0"), "steps");
  mistake(recorded.command(kDgx, "--ranks 8 --shard-group 4"), "give both, or leave it out");
  mistake(recorded.command(kDgx, "--ranks 8 --sharding full --shard-group 1"), "shard nothing");
  mistake(recorded.command(kDgx, "--ranks 8,16 --sharding full --shard-group 16"), "does not divide 8 ranks");
  mistake(kBinary + " simulate " + warm + " --cluster " + kDgx + " --ranks 8 -o " + recorded.out, "no steady steps");
  mistake(kBinary + " simulate none.h5 --cluster " + kDgx + " --ranks 8", "none.h5");
  mistake(kBinary + " simulate " + typo + " --cluster " + kDgx + " --ranks 8", "typo.toml");
}

TEST_CASE("a simulated log is not overwritten, and not simulated again") {
  const Recorded recorded;
  REQUIRE(run_command(recorded.command(kDgx, "--ranks 8 --steps 1")).exit_code == 0);
  const auto again = run_command(recorded.command(kDgx, "--ranks 8 --steps 1"));
  CHECK(again.exit_code == 2);
  CHECK_THAT(again.err, contains("exists already"));
  const auto twice = run_command(kBinary + " simulate " + recorded.out + "/simulated-n8.h5 --cluster " + kDgx +
                                 " --ranks 16 -o " + recorded.out);
  CHECK(twice.exit_code == 2);
  CHECK_THAT(twice.err, contains("is simulated"));
}
