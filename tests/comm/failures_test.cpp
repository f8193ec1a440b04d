// Ranks that go missing, stop or fail: the job ends on all of them, soon, and says why.
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <sstream>
#include <vector>

#include "tests/catch.h"
#include "tests/command.h"

using gpumonth::tests::CommandResult;
using gpumonth::tests::contains;
using gpumonth::tests::run_command;

namespace {

std::string victims(int ranks, const std::string& arguments) {
  return gpumonth::tests::mpirun(ranks, std::string(VICTIM) + " " + arguments);
}

double now_s() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

int count(const std::string& text, const std::string& part) {
  int found = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) ++found;
  return found;
}

/// The process ids that the victims printed: "pid RANK PID".
std::vector<pid_t> pids(const std::string& out) {
  std::istringstream words(out);
  std::vector<pid_t> found;
  std::string word;
  for (int rank = 0, pid = 0; words >> word;) {
    if (word == "pid" && words >> rank >> pid) found.push_back(pid);
  }
  return found;
}

/// Starts a job of endless all-reduces, sends `signal_name` to its rank `victim` after a while, and waits for
/// the end, at most 40 s.
CommandResult run_and_signal(int ranks, const std::string& arguments, const char* signal_name, int victim) {
  return run_command(fmt::format(
      R"(out=$(mktemp); timeout -k 5 40 {} >$out & job=$!
         for i in $(seq 100); do [ $(grep -c ^pid $out) = {} ] && break; sleep 0.1; done; sleep 1
         kill -{} $(awk '$1 == "pid" && $2 == {} {{ print $3 }}' $out)
         wait $job; code=$?; cat $out; rm $out; exit $code)",
      victims(ranks, arguments), ranks, signal_name, victim));
}

/// Runs no more: absent, or dead and only not yet reaped by whoever inherited it.
bool is_gone(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  std::string text;
  std::getline(file, text);
  const auto name_end = text.rfind(')');
  return name_end == std::string::npos || text[name_end + 2] == 'Z' || text[name_end + 2] == 'X';
}

/// mpirun returns a moment before the last rank that it killed is dead.
bool gone_within(pid_t pid, double limit_s) {
  for (const double start = now_s(); !is_gone(pid);) {
    if (now_s() - start > limit_s) return false;
    usleep(50'000);
  }
  return true;
}

void check_all_gone(const CommandResult& result, int ranks) {
  const std::vector<pid_t> all = pids(result.out);
  REQUIRE(all.size() == static_cast<std::size_t>(ranks));
  for (const pid_t pid : all) REQUIRE(gone_within(pid, 5));
}

}  // namespace

TEST_CASE("a job that nothing happens to ends well") {
  const CommandResult result = run_command(victims(3, "reduce 1"));
  INFO(result.err);
  REQUIRE(result.exit_code == 0);
  check_all_gone(result, 3);
}

TEST_CASE("the watchdog says where the missing rank is") {
  for (const std::string ring : {"", " --ring"}) {
    const double start = now_s();
    const CommandResult result = run_command(victims(3, "absent 1" + ring));
    INFO(result.err);
    REQUIRE(result.exit_code != 0);
    REQUIRE(now_s() - start < 15);
    REQUIRE_THAT(result.err, contains("barrier (main) in step 17 not done after 2 s"));
    REQUIRE_THAT(result.err, contains("rank 1 ("));
    REQUIRE_THAT(result.err, contains("is still in 'checkpoint' of step 17"));
    REQUIRE_THAT(result.err, !contains("no answer"));
  }
}

TEST_CASE("the watchdog asks after the ranks of a part alone") {
  for (const std::string ring : {"", " --ring"}) {
    const CommandResult result = run_command(victims(4, "absent-part 3" + ring));
    INFO(result.err);
    REQUIRE(result.exit_code == 1);
    REQUIRE_THAT(result.err, contains("all-to-all of 7.8 KiB (pair) in step 17 not done after 2 s"));
    REQUIRE_THAT(result.err, contains("rank 3 ("));
    REQUIRE_THAT(result.err, contains("is still in 'data' of step 17"));
    REQUIRE_THAT(result.err, !contains("rank 0 (") && !contains("rank 1 ("));
  }
}

TEST_CASE("the watchdog names a stopped process") {
  for (const std::string ring : {"", " --ring"}) {
    const CommandResult result = run_and_signal(3, "reduce 60" + ring, "STOP", 2);
    INFO(result.err);
    REQUIRE(result.exit_code != 0);
    REQUIRE(result.exit_code != 124);  // the 40 s were not needed
    REQUIRE_THAT(result.err, contains("(gradients) in step "));
    REQUIRE_THAT(result.err, contains("no answer from rank 2 ("));
    check_all_gone(result, 3);
  }
}

TEST_CASE("a killed rank ends the job") {
  for (const int victim : {0, 1}) {
    const CommandResult result = run_and_signal(2, "reduce 60", "KILL", victim);
    INFO(result.err);
    REQUIRE(result.exit_code != 0);
    REQUIRE(result.exit_code != 124);
    REQUIRE(!result.err.empty());
    check_all_gone(result, 2);
  }
}

TEST_CASE("a slow but lively job is left alone") {
  const CommandResult result = run_command("GPUMONTH_TEST_WATCHDOG_S=1 " + victims(2, "reduce 4"));
  INFO(result.err);
  REQUIRE(result.exit_code == 0);
}

TEST_CASE("a user's mistake is one line and exit code 2, on one rank or on all") {
  for (const std::string who : {"all", "0", "2"}) {
    const CommandResult result = run_command(victims(3, "user-error " + who));
    INFO(result.err);
    REQUIRE(result.exit_code == 2);
    REQUIRE(count(result.err, "no such file 'x.toml'") == 1);
    REQUIRE(count(result.err, "gpumonth: ") == 1);
  }
}

TEST_CASE("ranks that reduce different sizes end with a message") {
  for (const std::string ring : {"", " --ring"}) {
    const CommandResult result = run_command(victims(2, "mismatch x" + ring));
    INFO(result.err);
    REQUIRE(result.exit_code == 1);
    REQUIRE_THAT(result.err, contains("[rank "));
    REQUIRE_THAT(result.err, contains("different"));
  }
}

TEST_CASE("a launcher whose processes MPI does not join is refused, not run alone") {
  const CommandResult result = run_command(fmt::format("env PMI_SIZE=4 PMI_RANK=0 {} reduce 1", VICTIM));
  INFO(result.err);
  REQUIRE(result.exit_code == 2);
  REQUIRE_THAT(result.err, contains("started 4 processes, but MPI joins 1 of them"));
  REQUIRE(result.out.empty());
}
