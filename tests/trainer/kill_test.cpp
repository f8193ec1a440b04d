// kill -9 of a rank at a random moment, every second time while a checkpoint is being written: the job ends on all
// ranks with a message, the log opens and misses at most one second of steps, every checkpoint is whole or absent.
// GPUMONTH_KILLS is how often; the long test does it 1,000 times.
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <future>
#include <iostream>
#include <optional>
#include <random>
#include <sstream>
#include <thread>

#include "runlog/reader.h"
#include "tests/catch.h"
#include "tests/trainer/runs.h"
#include "trainer/run_config.h"
#include "trainer/state/checkpoint.h"

namespace gpumonth {
namespace {

namespace fs = std::filesystem;
using tests::CommandResult;
constexpr double kEnd_s = 30;          // a job may take to end
constexpr double kLost_s = 1.0;        // of steps that a log may miss ...
constexpr double kInProgress_s = 0.3;  // ... and the step that was under way
constexpr int kJobsAtOnce = 3;         // of two ranks that mostly wait for each other's start

double unix_s() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

void sleep_s(double seconds) { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); }

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
bool wait_for(double seconds, double poll_s, Condition&& condition) {
  for (const double end = unix_s() + seconds; unix_s() < end;) {
    if (condition()) return true;
    sleep_s(poll_s);
  }
  return false;
}

/// Since when a checkpoint is being written, by its temporary file; nothing where none is.
std::optional<double> writing_checkpoint_since_unix_s(const fs::path& folder) {
  for (const std::string& name : tests::names_in(folder)) {
    struct statx file {};
    if (!name.starts_with(".checkpoint-") || ::statx(AT_FDCWD, (folder / name).c_str(), 0, STATX_BTIME, &file) != 0)
      continue;
    return static_cast<double>(file.stx_btime.tv_sec) + 1e-9 * file.stx_btime.tv_nsec;
  }
  return {};
}

/// Drawn before the job starts, so that a seed repeats a campaign.
struct Plan {
  bool while_writing_checkpoint = false;
  double after_s = 0;  ///< since the log is there, or since the temporary file of the next checkpoint is
  std::size_t victim = 0;
};

Plan draw(std::mt19937& random, int number) {
  const bool writing = number % 2 == 1;
  return {writing, std::uniform_real_distribution<double>(0, writing ? 0.004 : 2)(random), random() % 2};
}

struct Outcome {
  std::string fault;  ///< in words; empty: all is as it must be
  double end_s = 0, lost_s = 0;
  std::size_t steps = 0, whole = 0;  ///< logged; checkpoints that have their name
  bool during_write = false;         ///< of a checkpoint came the kill
};

/// Opens every checkpoint as a resume does.
std::size_t whole_checkpoints(const fs::path& run_file, const fs::path& out) {
  const auto config = trainer::load_run(run_file, {}, 2);
  const model::ParameterTable table(config.model);
  std::size_t whole = 0;
  for (const std::string& name : tests::names_in(out)) {
    if (!name.starts_with("checkpoint-")) continue;
    const auto size = static_cast<std::size_t>(table.flat_size());
    std::vector<float> parameters(size, NAN), ema(size, NAN), exp_avg(size, NAN), exp_avg_sq(size, NAN);
    const auto info =
        trainer::read_checkpoint(out / name, table, {parameters.data(), ema.data(), exp_avg.data(), exp_avg_sq.data()});
    if (name != fmt::format("checkpoint-{}.h5", info.step)) throw std::runtime_error(name + " is of another step");
    ++whole;
  }
  return whole;
}

/// What the killed job left. `steps_until_s`: when it was killed, or began to write the checkpoint that it was at then,
/// which belongs to the step under way.
void look_at(const fs::path& run_file, const fs::path& out, double steps_until_s, Outcome& outcome) {
  const runlog::Run run = runlog::read(out / "run.h5");
  if (run.clean_close) throw std::runtime_error("the log says that it was closed");
  double logged_until_s = run.info.start_time_unix_s, longest_step_s = 0;
  for (const auto& step : run.steps) {
    logged_until_s = run.info.start_time_unix_s + step.start_time_s + step.step_time_s;
    longest_step_s = std::max(longest_step_s, step.step_time_s);
  }
  outcome.steps = run.steps.size();
  outcome.lost_s = steps_until_s - logged_until_s;
  if (!(outcome.lost_s < kLost_s + kInProgress_s + longest_step_s))
    throw std::runtime_error(fmt::format("the log misses {:.2f} s", outcome.lost_s));
  outcome.whole = whole_checkpoints(run_file, out);
}

/// Without Catch's macros, which are for one thread.
Outcome kill_once(const Plan& plan) {
  const tests::TemporaryFolder folder;
  const fs::path file = tests::write_run_file(folder, "[checkpoint]\nevery_steps = 25\n");
  const fs::path out = folder.path() / "out", log = out / "run.h5";
  auto job = std::async(std::launch::async,
                        [&] { return tests::run_command(tests::train_command(2, file, {"run.steps=1000000"})); });
  const auto has_ended = [&](double within_s) {
    return job.wait_for(std::chrono::duration<double>(within_s)) == std::future_status::ready;
  };
  Outcome outcome;
  wait_for(60, 0.01, [&] { return has_ended(0) || (fs::exists(log) && ranks_of(file).size() == 2); });
  if (has_ended(0) || !fs::exists(log))
    outcome.fault = "the job did not start";
  else if (plan.while_writing_checkpoint &&
           !wait_for(10, 0.0002, [&] { return writing_checkpoint_since_unix_s(out).has_value(); }))
    outcome.fault = "no checkpoint was written";
  const auto pids = ranks_of(file);
  if (outcome.fault.empty()) sleep_s(plan.after_s);
  const auto writing_since_s = writing_checkpoint_since_unix_s(out);
  outcome.during_write = writing_since_s.has_value();
  const double killed_at_s = unix_s();
  if (pids.size() == 2) kill(pids[plan.victim], SIGKILL);
  const bool ended = has_ended(kEnd_s);
  outcome.end_s = unix_s() - killed_at_s;
  if (!ended)
    for (const pid_t pid : ranks_of(file)) kill(pid, SIGKILL);
  const CommandResult result = job.get();
  if (!outcome.fault.empty()) {
    outcome.fault += fmt::format("; exit code {}: {}", result.exit_code, result.err);
    return outcome;
  }
  if (!ended) outcome.fault = "the job did not end";
  if (result.exit_code == 0) outcome.fault = "the job ended with 0";
  if (result.err.empty()) outcome.fault = "the job ended without a word";
  if (!wait_for(5, 0.01, [&] { return ranks_of(file).empty(); })) outcome.fault = "a rank was left behind";
  try {
    look_at(file, out, writing_since_s.value_or(killed_at_s), outcome);
  } catch (const std::exception& error) {
    outcome.fault = error.what();
  }
  return outcome;
}

}  // namespace

TEST_CASE("kill -9 of any rank ends the job, and log and checkpoints stay", "[kill]") {
  const char* times = std::getenv("GPUMONTH_KILLS");
  const int kills = times != nullptr ? std::atoi(times) : 4;
  const auto seed = std::random_device{}();
  std::mt19937 random(seed);
  Outcome worst;
  std::size_t good = 0, during_write = 0, whole = 0;
  for (int done = 0; done < kills;) {
    std::vector<std::future<Outcome>> jobs;
    for (; std::ssize(jobs) < kJobsAtOnce && done < kills; ++done)
      jobs.push_back(std::async(std::launch::async, kill_once, draw(random, done)));
    for (auto& job : jobs) {
      const Outcome outcome = job.get();
      INFO("seed " << seed << ", one of the kills up to number " << done);
      CHECK(outcome.fault == "");
      good += outcome.fault.empty();
      during_write += outcome.during_write;
      whole += outcome.whole;
      worst.end_s = std::max(worst.end_s, outcome.end_s);
      worst.lost_s = std::max(worst.lost_s, outcome.lost_s);
    }
  }
  std::cout << fmt::format(
      "{} kills, {} of them while a checkpoint was being written: {} logs opened, at most {:.2f} s missing; jobs ended within "
      "{:.1f} s; {} checkpoints left, all whole\n",
      kills, during_write, good, worst.lost_s, worst.end_s, whole);
}

}  // namespace gpumonth
