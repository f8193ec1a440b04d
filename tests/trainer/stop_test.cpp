// A run that is told to stop, or whose text nobody takes: no step is lost, the exit code says what happened.
#include <fmt/format.h>

#include <algorithm>

#include "tests/catch.h"
#include "tests/trainer/runs.h"
#include "trainer/state/checkpoint.h"

using namespace gpumonth;
using namespace gpumonth::tests;
namespace fs = std::filesystem;

namespace {

std::string set_directory(const fs::path& directory) { return "run.directory=" + directory.string(); }

/// Starts a run, waits until `ready` (a shell test that knows $program and $out) holds, runs `kill` (which knows
/// $job and $program), waits for the end. Its exit code is the run's.
CommandResult run_and_stop(const std::string& command, const std::string& ready, const std::string& kill) {
  return run_command(fmt::format(
      R"(out=$(mktemp); timeout -k 5 60 {} >$out & job=$!
         # `timeout` is the job of this shell; what it started is the program, or mpirun.
         program=; while [ -z "$program" ] && kill -0 $job; do read -r program rest </proc/$job/task/$job/children; done
         for i in $(seq 600); do if {}; then break; fi; kill -0 $job || break; sleep 0.05; done
         {}
         wait $job; code=$?; cat $out; rm $out; exit $code)",
      command, ready, kill));
}

const std::string kPrintsSteps = "grep -q '^step ' $out && sleep 0.3";
/// The program has a handler for SIGTERM: bit 14 of the mask of caught signals.
const std::string kCatchesSignals =
    "readlink /proc/$program/exe | grep -q gpumonth && "
    "sed -n 's/^SigCgt:.*\\(....\\)$/\\1/p' /proc/$program/status | grep -q '^[4-7c-f]'";

CommandResult stop_endless(int ranks, const fs::path& file, const std::string& kill) {
  return run_and_stop(train_command(ranks, file, {"run.steps=1000000", "run.progress_s=0.1"}), kPrintsSteps, kill);
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
  const auto again = run_command(fmt::format("{} {} --set run.steps={}", GPUMONTH_BINARY, arguments, last + 3));
  INFO(again.err);
  REQUIRE(again.exit_code == 0);
  losses(folder.path() / "out/run.h5", 1, static_cast<std::size_t>(last));
  losses(folder.path() / fmt::format("out/run-from-{}.h5", last), last + 1, 3);
}

/// `signals`: one of them is named; of two that wait at once the system delivers either first.
void check_stop(int ranks, const std::vector<std::string>& signals, const std::string& kill, bool and_goes_on = false) {
  INFO(ranks << " ranks, " << kill);
  const TemporaryFolder folder;
  const CommandResult result = stop_endless(ranks, write_run_file(folder), kill);
  INFO(result.out << result.err);
  REQUIRE(result.exit_code == 3);
  CHECK(std::ranges::any_of(signals, [&](const std::string& signal) {
    return result.out.find("stopped by " + signal + " after") != std::string::npos;
  }));
  const std::int64_t last = stopped_after(result.out);
  CHECK(last > 1);
  const fs::path checkpoint = folder.path() / fmt::format("out/checkpoint-{}.h5", last);
  CHECK(trainer::read_checkpoint_info(checkpoint).step == last);
  if (and_goes_on) check_goes_on(folder, result.out);
}

TEST_CASE("every signal that asks to stop ends a run with a checkpoint that goes on, and exit code 3") {
  for (const std::string signal : {"TERM", "INT", "HUP", "USR1", "USR2", "XCPU"})
    check_stop(0, {"SIG" + signal}, "kill -" + signal + " $program", signal == "TERM");
}

TEST_CASE("a signal that comes again while the run is stopping changes nothing; a second Ctrl-C ends it") {
  check_stop(0, {"SIGTERM"}, "kill -TERM $program; kill -TERM $program; sleep 0.01; kill -USR1 $program");
  check_stop(0, {"SIGTERM", "SIGINT"}, "kill -TERM $program; kill -INT $program");
  const TemporaryFolder folder;
  // Both come in the first step, whose 8,192 samples take longer than this shell needs: the second is sent as soon as
  // the first is no longer pending (bit 1 of the masks), as two that wait at once would be one.
  const auto command = train_command(0, write_run_file(folder), {"run.steps=1000", "batch.global=8192"});
  const auto result = run_and_stop(command, kCatchesSignals,
                                   "kill -INT $program; "
                                   "while grep -qs '^S[a-z]*Pnd:.*[2367abef]$' /proc/$program/status; do :; done; "
                                   "kill -INT $program");
  CHECK(result.exit_code == 130);
}

TEST_CASE("a signal before the first step: the step is done, and its checkpoint goes on") {
  const TemporaryFolder folder;
  const auto file = write_run_file(folder);
  // of steps that take longer than to see that signals are caught, and to send one
  const auto result = run_and_stop(train_command(0, file, {"run.steps=1000000", "batch.global=1024"}), kCatchesSignals,
                                   "kill -TERM $program");
  INFO(result.out << result.err);
  REQUIRE(result.exit_code == 3);
  CHECK(stopped_after(result.out) <= 2);
  check_goes_on(folder, result.out);
}

TEST_CASE("a run that was told to stop in its last step is done") {
  const TemporaryFolder folder;
  const auto result = run_and_stop(train_command(0, write_run_file(folder), {"run.steps=1", "batch.global=4096"}),
                                   kCatchesSignals, "kill -TERM $program");
  INFO(result.out << result.err);
  CHECK(result.exit_code == 0);
  CHECK_THAT(result.out, contains("done: 1 steps"));
}

TEST_CASE("nohup keeps a run going; a stopped and continued one goes on to its end") {
  const TemporaryFolder folder;
  const auto file = write_run_file(folder);
  const auto hung_up = run_and_stop("nohup " + train_command(0, file, {"run.steps=200", "run.progress_s=0.1"}),
                                    "grep -q '^step ' $out", "kill -HUP $program");
  INFO(hung_up.out << hung_up.err);
  CHECK(hung_up.exit_code == 0);
  losses(folder.path() / "out/run.h5", 1, 200);
  const auto other = set_directory(folder.path() / "other");
  const auto paused = run_and_stop(train_command(0, file, {"run.steps=200", "run.progress_s=0.1", other}),
                                   "grep -q '^step ' $out", "kill -TSTP $program; sleep 0.5; kill -CONT $program");
  INFO(paused.out << paused.err);
  CHECK(paused.exit_code == 0);
  losses(folder.path() / "other/run.h5", 1, 200);
}

TEST_CASE("a signal to mpirun, or to any one rank, ends all ranks in the same step") {
  check_stop(2, {"SIGUSR1"}, "kill -USR1 $program", true);  // mpirun passes it on to both ranks
  const std::string ranks = "set -- $(cat /proc/$program/task/$program/children); while [ $# -gt 2 ]; do shift; done; ";
  check_stop(2, {"SIGTERM"}, ranks + "kill -TERM $2");
  check_stop(2, {"SIGHUP"}, ranks + "kill -HUP $1");
  // In one step the first in the order of kStopSignals, SIGINT; this shell may be kept waiting between the two.
  check_stop(2, {"SIGINT", "SIGUSR2"}, ranks + "kill -USR2 $1; kill -INT $2");
}

TEST_CASE("a reader of the progress lines that has stopped reading holds up neither training nor its end") {
  const TemporaryFolder folder;
  const auto file = write_run_file(folder);
  const std::string pipe = (folder.path() / "pipe").string();
  // a pipe of 16 pages with room for the first words and a few lines; it is read once the checkpoint is there
  const auto result = run_command(fmt::format(
      R"(mkfifo {0}; exec 3<>{0}; head -c 53248 /dev/zero >&3
         {1} >&3 & job=$!
         sleep 3; kill -TERM $job
         for i in $(seq 300); do ls {2}/checkpoint-*.h5 >/dev/null 2>&1 && break; sleep 0.1; done
         ls {2}/checkpoint-*.h5 || kill -KILL $job
         cat <&3 >/dev/null & reader=$!
         wait $job; code=$?; kill $reader; exit $code)",
      pipe, train_command(0, file, {"run.steps=1000000", "run.progress_s=0.1"}), (folder.path() / "out").string()));
  INFO(result.out << result.err);
  CHECK(result.exit_code == 3);
  CHECK_THAT(result.out, contains("checkpoint-"));
}

TEST_CASE("training goes on to its end where its text cannot be written, and then says so") {
  const TemporaryFolder folder;
  const auto file = write_run_file(folder);
  const std::string code = (folder.path() / "code").string();
  const auto into = [&](const std::string& name, int ranks = 0) {
    return train_command(ranks, file, {"run.progress_s=0.1", "run.steps=100", set_directory(folder.path() / name)});
  };
  const auto check = [&](const std::string& name, const CommandResult& result, int exit_code,
                         const std::string& reason) {
    INFO(name << "\n" << result.err);
    CHECK(exit_code == (reason.empty() ? 0 : 2));
    if (!reason.empty()) CHECK_THAT(result.err, contains("gpumonth: standard output could not be written (" + reason));
    losses(folder.path() / name / "run.h5", 1, 100);
    CHECK(trainer::read_checkpoint_info(folder.path() / name / "checkpoint-100.h5").step == 100);
  };
  const auto full = run_command(into("full") + " >/dev/full");
  check("full", full, full.exit_code, "No space left");
  const auto piped = run_command("( " + into("pipe") + "; echo $? >" + code + " ) | head -n 1");
  check("pipe", piped, std::stoi(run_command("cat " + code).out), "Broken pipe");
  for (const std::string closed : {">&-", "<&- >&-", "<&- >&- 2>&-", "2>&-"}) {
    const std::string name = fmt::format("closed-{}", closed.size());
    const auto result = run_command(into(name) + " " + closed);
    check(name, result, result.exit_code, "");
  }
}

}  // namespace
