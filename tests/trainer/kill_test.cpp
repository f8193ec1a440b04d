// kill -9 of a rank at a random moment: the job ends on all ranks with a message, and the log opens and misses at
// most one second of steps. GPUMONTH_KILLS is how often; the test `kill_long` does it 50 times.
#include <signal.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <future>
#include <iostream>
#include <random>
#include <sstream>
#include <thread>

#include "runlog/reader.h"
#include "tests/catch.h"
#include "tests/trainer/runs.h"

namespace gpumonth {
namespace {

namespace fs = std::filesystem;
using tests::CommandResult;
constexpr double kEnd_s = 30;           // a job may take to end
constexpr double kLost_s = 1.0;         // of steps that a log may miss ...
constexpr double kInProgress_s = 0.3;   // ... and the step that was under way

double unix_s() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

/// Processes that run gpumonth (not mpirun) on this run file, whatever their rank.
std::vector<pid_t> ranks_of(const fs::path& run_file) {
  std::vector<pid_t> pids;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    std::ifstream in(entry.path() / "cmdline");
    std::stringstream text;
    text << in.rdbuf();
    const std::string command = text.str();
    if (command.rfind(GPUMONTH_BINARY, 0) == 0 && command.find(run_file.string()) != std::string::npos)
      pids.push_back(std::stoi(name));
  }
  return pids;
}

template <class Condition>
bool wait_for(double seconds, Condition&& condition) {
  for (const double end = unix_s() + seconds; unix_s() < end;) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return false;
}

void kill_once(std::mt19937& random) {
  const tests::TemporaryFolder folder;
  const fs::path file = tests::write_run_file(folder), log = folder.path() / "out" / "run.h5";
  auto job = std::async(std::launch::async, [&] {
    return tests::run_command(tests::train_command(2, file, {"run.steps=1000000"}));
  });
  REQUIRE(wait_for(60, [&] { return fs::exists(log) && ranks_of(file).size() == 2; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(std::uniform_int_distribution<int>(0, 3000)(random)));
  const auto pids = ranks_of(file);
  REQUIRE(pids.size() == 2);
  const double killed_at_s = unix_s();
  kill(pids[random() % 2], SIGKILL);
  const bool ended = job.wait_for(std::chrono::duration<double>(kEnd_s)) == std::future_status::ready;
  if (!ended)
    for (const pid_t pid : ranks_of(file)) kill(pid, SIGKILL);
  const CommandResult result = job.get();
  CHECK(ended);
  CHECK(result.exit_code != 0);
  CHECK_FALSE(result.err.empty());
  CHECK(wait_for(5, [&] { return ranks_of(file).empty(); }));

  const runlog::Run run = runlog::read(log);
  CHECK_FALSE(run.clean_close);
  double logged_until_s = run.info.start_time_unix_s;
  double longest_step_s = 0;
  for (const auto& step : run.steps) {
    logged_until_s = run.info.start_time_unix_s + step.start_time_s + step.step_time_s;
    longest_step_s = std::max(longest_step_s, step.step_time_s);
  }
  const double lost_s = killed_at_s - logged_until_s;
  std::cout << "killed after " << run.steps.size() << " logged steps, ended " << unix_s() - killed_at_s
            << " s later, " << lost_s << " s not in the log\n";
  CHECK(lost_s < kLost_s + kInProgress_s + longest_step_s);
}

}  // namespace

TEST_CASE("kill -9 of any rank ends the job and leaves a log that misses at most a second") {
  const char* times = std::getenv("GPUMONTH_KILLS");
  std::mt19937 random(std::random_device{}());
  for (int i = 0; i < (times ? std::atoi(times) : 3); ++i) kill_once(random);
}

}  // namespace gpumonth
