// 10 steps are 5 steps, a checkpoint and 5 more, bit for bit; and a run that is told to stop can go on.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "runlog/reader.h"
#include "tests/catch.h"
#include "tests/trainer/runs.h"
#include "trainer/checkpoint.h"

using namespace gpumonth;
using namespace gpumonth::tests;
namespace fs = std::filesystem;

namespace {

std::string set_directory(const fs::path& directory) { return "run.directory=" + directory.string(); }

/// 5 steps and a checkpoint, then as many ranks as said for the other 5.
void train_in_halves(const fs::path& file, const fs::path& directory, int first_ranks, int second_ranks) {
  train(first_ranks, file, {set_directory(directory), "run.steps=5"});
  train(second_ranks, file,
        {set_directory(directory), "run.resume=" + (directory / "checkpoint-5.h5").string()});
}

std::vector<double> losses(const fs::path& log, std::int64_t first_step, std::size_t count) {
  const runlog::Run run = runlog::read(log);
  CHECK(run.clean_close);
  REQUIRE(run.steps.size() == count);
  std::vector<double> values;
  for (const auto& step : run.steps) {
    CHECK(step.step == first_step + static_cast<std::int64_t>(values.size()));
    values.push_back(step.loss);
  }
  return values;
}

std::vector<double> losses_of_halves(const fs::path& directory) {
  std::vector<double> all = losses(directory / "run.h5", 1, 5);
  const auto later = losses(directory / "run-from-5.h5", 6, 5);
  all.insert(all.end(), later.begin(), later.end());
  return all;
}

TEST_CASE("10 steps are 5 and 5 more, bit for bit, on one rank and on two") {
  const TemporaryFolder folder;
  const auto file = write_run_file(folder);
  for (const int ranks : {0, 2}) {
    INFO(ranks << " ranks");
    const fs::path whole = folder.path() / fmt::format("whole-{}", ranks);
    const fs::path halves = folder.path() / fmt::format("halves-{}", ranks);
    train(ranks, file, {set_directory(whole)});
    train_in_halves(file, halves, ranks, ranks);
    CHECK(losses_of_halves(halves) == losses(whole / "run.h5", 1, 10));
    CHECK(same_checkpoints(halves / "checkpoint-10.h5", whole / "checkpoint-10.h5"));
    CHECK_FALSE(same_checkpoints(halves / "checkpoint-5.h5", whole / "checkpoint-10.h5"));
  }
}

TEST_CASE("another number of ranks goes on from a checkpoint") {
  const TemporaryFolder folder;
  const auto file = write_run_file(folder);
  train(0, file, {set_directory(folder.path() / "whole")});
  const auto expected = losses(folder.path() / "whole/run.h5", 1, 10);
  for (const auto& [first, second] : {std::pair{0, 2}, std::pair{4, 1}}) {
    INFO(first << " ranks, then " << second);
    const fs::path halves = folder.path() / fmt::format("{}-then-{}", first, second);
    train_in_halves(file, halves, first, second);
    const auto found = losses_of_halves(halves);
    for (std::size_t i = 0; i < expected.size(); ++i) CHECK(found[i] == Approx(expected[i]).epsilon(1e-6));
  }
}

/// Starts an endless run, waits until it prints progress, runs `kill` (which knows $job), waits for the end.
CommandResult run_and_stop(int ranks, const fs::path& file, const std::string& kill) {
  return run_command(fmt::format(
      R"(out=$(mktemp); timeout -k 5 60 {} >$out & job=$!
         for i in $(seq 300); do grep -q '^step ' $out && break; kill -0 $job || break; sleep 0.1; done; sleep 0.3
         # `timeout` is the job of this shell; what it started is the program, or mpirun.
         read -r program rest </proc/$job/task/$job/children
         {}
         wait $job; code=$?; cat $out; rm $out; exit $code)",
      train_command(ranks, file, {"run.steps=1000000", "run.progress_s=0.1"}), kill));
}

/// The last step of the stopped run, from "stopped by SIGTERM after step 37; go on with: ...".
std::int64_t stopped_after(const std::string& out) {
  const std::string words = "after step ";
  const auto at = out.find(words);
  REQUIRE(at != std::string::npos);
  return std::stoll(out.substr(at + words.size()));
}

/// What was printed, typed in again with another end, continues without a lost or a repeated step.
void check_goes_on(const TemporaryFolder& folder, const std::string& out) {
  const std::int64_t last = stopped_after(out);
  const std::string words = "go on with: gpumonth ";
  const auto at = out.find(words);
  REQUIRE(at != std::string::npos);
  const std::string arguments = out.substr(at + words.size(), out.find('\n', at) - at - words.size());
  const auto again =
      run_command(fmt::format("{} {} --set run.steps={}", GPUMONTH_BINARY, arguments, last + 3));
  INFO(again.err);
  REQUIRE(again.exit_code == 0);
  losses(folder.path() / "out/run.h5", 1, static_cast<std::size_t>(last));
  losses(folder.path() / fmt::format("out/run-from-{}.h5", last), last + 1, 3);
}

void check_stop(int ranks, const std::string& signal, const std::string& kill) {
  INFO(ranks << " ranks, " << kill);
  const TemporaryFolder folder;
  const CommandResult result = run_and_stop(ranks, write_run_file(folder), kill);
  INFO(result.out << result.err);
  REQUIRE(result.exit_code == 0);
  CHECK_THAT(result.out, contains("stopped by " + signal));
  const std::int64_t last = stopped_after(result.out);
  CHECK(last > 1);
  const fs::path checkpoint = folder.path() / fmt::format("out/checkpoint-{}.h5", last);
  CHECK(trainer::read_checkpoint_info(checkpoint).step == last);
  check_goes_on(folder, result.out);
}

TEST_CASE("SIGTERM and SIGUSR1 end a run with a checkpoint that goes on") {
  check_stop(0, "SIGTERM", "kill -TERM $program");
  check_stop(0, "SIGUSR1", "kill -USR1 $program");
}

TEST_CASE("a signal to mpirun, or to any one rank, ends all ranks in the same step") {
  check_stop(2, "SIGUSR1", "kill -USR1 $program");  // mpirun passes it on to both ranks
  check_stop(2, "SIGTERM", "set -- $(cat /proc/$program/task/$program/children); shift; kill -TERM $1");
}

}  // namespace
