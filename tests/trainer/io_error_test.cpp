// Every write of the log and of the checkpoints fails in turn: the run says so in one line and ends, what was whole
// before stays whole, and nothing half-written gets a name. failing_io.cpp makes the calls fail.
// GPUMONTH_EVERY_WRITE: all of them; without it one in a few.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <map>

#include "runlog/reader.h"
#include "tests/catch.h"
#include "tests/trainer/runs.h"

using namespace gpumonth;
using namespace gpumonth::tests;
namespace fs = std::filesystem;

namespace {

constexpr int kSteps = 6, kCheckpointEvery = 3;
constexpr int kEnd_s = 30;  // a job may take to end

/// One training with a call that fails; its folder stays for the checks.
struct Trial {
  Trial(const std::string& how, std::int64_t at, int ranks) {
    const std::string file = write_run_file(folder).string();
    const auto counter = folder.write("count", std::string(sizeof calls, '\0'));
    result = run_command(fmt::format(
        "ASAN_OPTIONS=verify_asan_link_order=0 GPUMONTH_FAILING_IO_BELOW={} GPUMONTH_FAILING_IO_COUNT={} "
        "GPUMONTH_FAILING_IO_HOW={} GPUMONTH_FAILING_IO_AT={} LD_PRELOAD={} timeout {} {}",
        out().string(), counter.string(), how, at, FAILING_IO, kEnd_s,
        train_command(ranks, file,
                      {"model.hidden_size=16", "model.num_heads=1", "model.depth=1", "batch.global=2",
                       fmt::format("run.steps={}", kSteps), fmt::format("checkpoint.every_steps={}", kCheckpointEvery),
                       "run.name=\"" + how + "\""})));
    std::ifstream(counter, std::ios::binary).read(reinterpret_cast<char*>(&calls), sizeof calls);
  }
  fs::path out() const { return folder.path() / "out"; }

  TemporaryFolder folder;
  CommandResult result;
  std::int64_t calls = 0;  ///< that write, failed ones included
};

/// Where steps are in order and belong to this run.
void check_log(const Trial& trial) {
  const fs::path file = trial.out() / "run.h5";
  if (!fs::exists(file)) {  // before the first step: the message is about the log or the folder
    CHECK(trial.result.exit_code == 2);
    CHECK(trial.result.out.find("step 1/") == std::string::npos);
    return;
  }
  const auto run = runlog::read(file);
  if (trial.result.exit_code == 0) CHECK(run.clean_close);
  // also where the last call of all, by which HDF5 gives the file its length, failed after the mark was written
  if (run.clean_close) CHECK(run.steps.size() == kSteps);
  for (std::size_t i = 0; i < run.steps.size(); ++i) CHECK(run.steps[i].step == static_cast<std::int64_t>(i) + 1);
}

/// Every checkpoint that has its name is the one of the run in which nothing failed, bit for bit; what was written
/// before the fault is still there, and no temporary file is.
void check_files(const Trial& trial, const Trial& whole) {
  const auto names = names_in(trial.out());
  for (const auto& name : names) {
    CHECK(name.find(".tmp") == std::string::npos);
    if (name.starts_with("checkpoint-")) CHECK(same_checkpoints(trial.out() / name, whole.out() / name));
  }
  const auto has = [&](const char* name) { return std::find(names.begin(), names.end(), name) != names.end(); };
  const bool second_began = trial.result.err.find("checkpoint-6.h5") != std::string::npos || has("checkpoint-6.h5");
  if (second_began) CHECK(has("checkpoint-3.h5"));
  if (trial.result.exit_code == 0) CHECK(has("checkpoint-6.h5"));
}

void check_message(const Trial& trial, const std::string& reason) {
  const std::string& text = trial.result.err;
  CHECK(std::count(text.begin(), text.end(), '\n') >= 1);
  const auto begin = text.find("gpumonth: ");
  REQUIRE(begin != std::string::npos);
  CHECK(text.find("gpumonth: ", begin + 1) == std::string::npos);
  const std::string line = text.substr(begin, text.find('\n', begin) - begin);
  CHECK_THAT(line, contains((trial.out()).string()));
  CHECK_THAT(line, contains(reason));
  const bool says_what_to_do = line.find("free some") != std::string::npos ||
                               line.find("try again") != std::string::npos || line.find("choose") != std::string::npos;
  CHECK(says_what_to_do);
}

struct Figures {
  std::int64_t trials = 0, ended_by_it = 0, untouched = 0;
};

/// `stride`: 1 fails every call in turn.
Figures fail_in_turn(const std::string& how, const std::string& reason, std::int64_t stride, int ranks) {
  const Trial whole(how, 0, ranks);
  INFO(whole.result.err);
  REQUIRE(whole.result.exit_code == 0);
  REQUIRE(whole.calls > 100);  // the library is loaded and sees the program's calls
  Figures figures;
  for (std::int64_t at = 1; at <= whole.calls; at += stride) {
    const Trial trial(how, at, ranks);
    INFO(how << " at call " << at << " of " << whole.calls << ", " << ranks << " ranks: exit code "
             << trial.result.exit_code << ", " << trial.result.err);
    ++figures.trials;
    if (trial.result.exit_code == 0) {
      ++figures.untouched;
    } else {
      ++figures.ended_by_it;
      CHECK(trial.result.exit_code == 2);  // 124: it hung
      check_message(trial, reason);
    }
    check_log(trial);
    check_files(trial, whole);
  }
  std::cout << how << ", " << ranks << " ranks: " << figures.trials << " of " << whole.calls
            << " calls failed in turn, " << figures.ended_by_it << " ended the run, " << figures.untouched
            << " did not\n";
  return figures;
}

std::int64_t stride(std::int64_t quick) { return std::getenv("GPUMONTH_EVERY_WRITE") != nullptr ? 1 : quick; }

}  // namespace

TEST_CASE("a disk that is full from any write on", "[io]") {
  const auto figures = fail_in_turn("full", "o space left on device", stride(43), 0);
  CHECK(figures.untouched <= 2);  // the last call may be one that needs no space
  fail_in_turn("full", "o space left on device", stride(131), 2);
}

TEST_CASE("a write that fails with an I/O error", "[io]") {
  const auto figures = fail_in_turn("error", "nput/output error", stride(43), 0);
  CHECK(figures.ended_by_it > 0);
}

TEST_CASE("a write that takes only half of its bytes changes nothing", "[io]") {
  CHECK(fail_in_turn("short", "", stride(97), 0).ended_by_it == 0);
}
