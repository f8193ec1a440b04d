// `gpumonth comm` as a user runs it: alone and under mpirun, as text, JSON and run log, and with mistakes.
#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "runlog/reader.h"
#include "tests/catch.h"
#include "tests/command.h"

using gpumonth::tests::CommandResult;
using gpumonth::tests::contains;
using gpumonth::tests::mpirun;
using gpumonth::tests::run_command;
using gpumonth::tests::TemporaryFolder;
using nlohmann::json;

namespace {

std::string comm(int ranks, const std::string& arguments) {
  const std::string command = GPUMONTH_BINARY " comm " + arguments;
  return ranks == 0 ? command : mpirun(ranks, command);
}

int lines(const std::string& text) { return static_cast<int>(std::count(text.begin(), text.end(), '\n')); }

void check_refused(const std::string& command, const std::string& part) {
  const CommandResult result = run_command(command);
  INFO(command << "\n" << result.err);
  CHECK(result.exit_code == 2);
  CHECK_THAT(result.err, contains(part));
  CHECK(lines(result.err) == 1);
  CHECK(result.out.empty());
}

}  // namespace

TEST_CASE("every size is summed exactly and timed, on 1, 2 and 4 ranks") {
  for (const int ranks : {0, 1, 2, 4}) {
    const CommandResult result =
        run_command(comm(ranks, "--max-bytes 128K --factor 4 --iterations 7 --warmup 1 --json"));
    INFO(result.err);
    REQUIRE(result.exit_code == 0);
    const json found = json::parse(result.out);  // rank 0 alone prints
    const int n = std::max(ranks, 1);
    REQUIRE(found["ranks"] == n);
    REQUIRE(found["hosts"].size() == static_cast<std::size_t>(n));
    REQUIRE(found["transport"] == (ranks < 2 ? "self" : "mpi"));
    REQUIRE(found["clock"] == "host clock");
    REQUIRE(found["warmup"] == 1);
    REQUIRE(found["results"].size() == 8);  // 8 x 4^0 .. 4^7
    std::int64_t bytes = 8;
    for (const json& row : found["results"]) {
      REQUIRE(row["bytes"] == bytes);
      REQUIRE(row["repeats"] == 7);
      REQUIRE(row["correct"] == true);
      const double mean_s = row["mean_s"], median_s = row["median_s"], p99_s = row["p99_s"];
      REQUIRE(mean_s > 0);
      REQUIRE(p99_s >= median_s);
      REQUIRE(p99_s >= 0.999 * mean_s);  // of 7 it is the longest
      const double algbw = row["algbw_bytes_per_s"];
      REQUIRE(algbw == Approx(static_cast<double>(bytes) / mean_s));
      REQUIRE(row.contains("busbw_bytes_per_s") == (n > 1));
      if (n > 1) REQUIRE(row["busbw_bytes_per_s"].get<double>() == Approx(algbw * 2 * (n - 1) / n));
      bytes *= 4;
    }
    REQUIRE(found["notes"].size() == (n > 1 ? 0 : 1));
  }
}

TEST_CASE("--op measures the other collectives, with nccl-tests' sizes and factor") {
  for (const std::string op : {"reduce_scatter", "all_gather", "all_to_all"}) {
    for (const int ranks : {0, 2, 3, 4}) {
      const CommandResult result =
          run_command(comm(ranks, "--op " + op + " --min-bytes 64 --max-bytes 1M --factor 16 --iterations 3 --json"));
      INFO(op << " on " << ranks << " ranks\n" << result.err);
      REQUIRE(result.exit_code == 0);
      const json found = json::parse(result.out);
      const int n = std::max(ranks, 1);
      REQUIRE(found["operation"] == op);
      REQUIRE(found["results"].size() == 4);
      std::int64_t bytes = 64;
      for (const json& row : found["results"]) {
        REQUIRE(row["bytes"] == bytes / n / 16 * 16 * n);  // of all ranks' equal shares
        REQUIRE(row["correct"] == true);
        const double algbw = row["algbw_bytes_per_s"];
        REQUIRE(algbw == Approx(row["bytes"].get<double>() / row["mean_s"].get<double>()));
        if (n > 1) REQUIRE(row["busbw_bytes_per_s"].get<double>() == Approx(algbw * (n - 1) / n));
        bytes *= 16;
      }
    }
  }
}

TEST_CASE("sizes that leave a rank nothing are left out, and none is refused") {
  const CommandResult result = run_command(comm(3, "--op all_gather --max-bytes 128 --iterations 3 --json"));
  INFO(result.err);
  REQUIRE(result.exit_code == 0);
  const json found = json::parse(result.out);
  REQUIRE(found["results"].size() == 2);  // of 8, 16, 32, 64 and 128
  REQUIRE(found["results"][0]["bytes"] == 48);
  REQUIRE(found["results"][1]["bytes"] == 96);
  const CommandResult none = run_command(comm(3, "--op all_gather --max-bytes 32"));
  REQUIRE(none.exit_code == 2);
  REQUIRE_THAT(none.err, contains("use a larger --max-bytes"));
}

TEST_CASE("the text says what another collective is, and --log keeps its name") {
  const TemporaryFolder folder;
  const std::string file = (folder.path() / "comm.h5").string();
  const CommandResult result =
      run_command(comm(2, "--op all_to_all --min-bytes 1M --max-bytes 1M --iterations 5 --log " + file));
  INFO(result.err);
  REQUIRE(result.exit_code == 0);
  REQUIRE_THAT(result.out, contains("all-to-all, fp32, from one buffer to another, back to back; 2 ranks over mpi"));
  REQUIRE_THAT(result.out, contains("busbw = algbw x (n-1)/n with n = 2"));
  REQUIRE_THAT(result.out, contains("values"));
  const gpumonth::runlog::Run run = gpumonth::runlog::read(file);
  REQUIRE(run.comm.operation == "all_to_all");
  REQUIRE(run.comm.rows.size() == 1);
  REQUIRE(run.comm.rows[0].bytes == 1 << 20);
}

TEST_CASE("the text says what was measured and how the bandwidths are defined") {
  const CommandResult result = run_command(comm(2, "--min-bytes 1M --max-bytes 2M --iterations 5"));
  INFO(result.err);
  REQUIRE(result.exit_code == 0);
  REQUIRE_THAT(result.out,
               contains("all-reduce, sum of fp32, in place, back to back; 2 ranks over mpi (shared memory"));
  REQUIRE_THAT(result.out, contains("host clock; times of the slowest rank"));
  REQUIRE_THAT(result.out, contains("busbw = algbw x 2 (n-1)/n with n = 2"));
  REQUIRE_THAT(result.out, contains("1048576"));
  REQUIRE_THAT(result.out, contains("exact"));
  REQUIRE_THAT(result.out, !contains("WRONG"));
}

TEST_CASE("iterations are chosen by the time they take") {
  const CommandResult result = run_command(comm(2, "--min-bytes 8 --max-bytes 8 --json"));
  REQUIRE(result.exit_code == 0);
  const int repeats = json::parse(result.out)["results"][0]["repeats"];
  REQUIRE(repeats >= 5);
  REQUIRE(repeats <= 1000);
}

TEST_CASE("--log writes a run log that the reader knows") {
  const TemporaryFolder folder;
  const std::string file = (folder.path() / "comm.h5").string();
  const CommandResult result =
      run_command(comm(2, "--min-bytes 1K --max-bytes 64K --factor 8 --iterations 6 --json --log " + file));
  INFO(result.err);
  REQUIRE(result.exit_code == 0);
  const json printed = json::parse(result.out);
  const gpumonth::runlog::Run run = gpumonth::runlog::read(file);
  REQUIRE(run.clean_close);
  REQUIRE(run.steps.empty());
  REQUIRE(run.info.world_size == 2);
  REQUIRE(run.info.transport == "mpi");
  REQUIRE(run.info.hostnames.size() == 2);
  REQUIRE(run.comm.measured == printed["measured"]);
  REQUIRE(printed["operation"] == "all_reduce");
  REQUIRE(run.comm.operation == "all_reduce");
  REQUIRE(run.comm.rows.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    const json& row = printed["results"][i];
    REQUIRE(run.comm.rows[i].bytes == row["bytes"]);
    REQUIRE(run.comm.rows[i].repeats == 6);
    REQUIRE(run.comm.rows[i].mean_s == Approx(row["mean_s"].get<double>()));
    REQUIRE(run.comm.rows[i].median_s == Approx(row["median_s"].get<double>()));
    REQUIRE(run.comm.rows[i].p99_s == Approx(row["p99_s"].get<double>()));
    REQUIRE(run.comm.rows[i].correct == 1);
  }
  const CommandResult again = run_command(comm(0, "--max-bytes 8 --log " + file));
  REQUIRE(again.exit_code == 2);
  REQUIRE_THAT(again.err, contains("comm.h5"));
}

TEST_CASE("a log without /comm reads as one without a sweep; budget says that it has no steps") {
  const TemporaryFolder folder;
  const std::string file = (folder.path() / "comm.h5").string();
  REQUIRE(run_command(comm(0, "--max-bytes 8 --log " + file)).exit_code == 0);
  const CommandResult result = run_command(fmt::format("{} budget {}/configs/scenarios/sora-2024.toml --runs {}",
                                                       GPUMONTH_BINARY, GPUMONTH_SOURCE_DIR, file));
  INFO(result.err);
  REQUIRE(result.exit_code == 2);
  REQUIRE(lines(result.err) == 1);
}

TEST_CASE("mistakes are one line and exit code 2") {
  check_refused(comm(0, "--max-bytes 10X"), "--max-bytes");
  check_refused(comm(0, "--min-bytes 2"), "--min-bytes must be at least 4");
  check_refused(comm(0, "--min-bytes 1M --max-bytes 1K"), "at most --max-bytes");
  check_refused(comm(0, "--factor 1"), "--factor");
  check_refused(comm(0, "--iterations -3"), "--iterations");
  check_refused(comm(0, "--transport gloo"), "--transport");
  check_refused(comm(0, "--op all_scatter"), "--op");
  check_refused(comm(0, "--max-bytes 1000000G"), "use a smaller --max-bytes");
  check_refused(comm(0, "--log /no/such/folder/comm.h5 --max-bytes 8"), "/no/such/folder");
}

TEST_CASE("nccl without a GPU says why") {
  for (const int ranks : {0, 2}) {
    const CommandResult result = run_command("CUDA_VISIBLE_DEVICES= " + comm(ranks, "--transport nccl --max-bytes 8"));
    INFO(result.err);
    REQUIRE(result.exit_code == 2);
    REQUIRE_THAT(result.err, contains("gpumonth: comm.transport = \"nccl\": "));
    REQUIRE_THAT(result.err, contains("use \"auto\""));
    REQUIRE(result.out.empty());
  }
}
