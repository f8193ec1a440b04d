// kill -9 at random moments: the log opens every time and misses at most a second of steps.
#include <signal.h>
#include <sys/mman.h>

#include <atomic>
#include <chrono>
#include <random>
#include <thread>

#include "base/hdf5.h"
#include "runlog/reader.h"
#include "runlog/writer.h"
#include "tests/catch.h"
#include "tests/command.h"
#include "tests/runlog/samples.h"

using namespace gpumonth;
using namespace gpumonth::runlog;
using Clock = std::chrono::steady_clock;

namespace {

double now_s() { return std::chrono::duration<double>(Clock::now().time_since_epoch()).count(); }

/// What a child has done, visible to its parent after it was killed.
struct Progress {
  std::atomic<std::int64_t> step{0};
};

Progress* shared_progress() {
  void* memory = ::mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  REQUIRE(memory != MAP_FAILED);
  return new (memory) Progress;
}

/// Steps with the time they ended in start_time_s.
[[noreturn]] void write_for_ever(const std::filesystem::path& file, Progress& progress, double step_s,
                                 bool flush_each) {
  Writer writer(file, samples::info());
  for (std::int64_t n = 1;; ++n) {
    if (step_s > 0) std::this_thread::sleep_for(std::chrono::duration<double>(step_s));
    StepRecord record = samples::step(n);
    record.step_time_s = std::max(step_s, 1e-3);  // a step takes time, says the reader
    record.start_time_s = now_s();
    progress.step = n;
    writer.step(record);
    writer.rank_times(n, std::vector<float>{1, 2});
    if (flush_each) writer.flush();
  }
}

/// Reads what the killed process left; returns the number of steps.
std::int64_t check_left(const std::filesystem::path& file) {
  if (!std::filesystem::exists(file)) return 0;
  const Run run = read(file);
  CHECK_FALSE(run.clean_close);
  bool in_order = true;
  for (std::size_t i = 0; i < run.steps.size(); ++i) {
    in_order = in_order && run.steps[i].step == static_cast<std::int64_t>(i) + 1 &&
               run.steps[i].loss == samples::step(run.steps[i].step).loss && run.steps[i].start_time_s > 0;
  }
  CHECK(in_order);
  return static_cast<std::int64_t>(run.steps.size());
}

}  // namespace

TEST_CASE("a killed run misses at most one second of steps") {
  std::mt19937 random(7);
  std::uniform_real_distribution<double> life_s(0.05, 2.2);
  const tests::TemporaryFolder folder;
  constexpr int kAtOnce = 10, kRounds = 4;
  for (int round = 0; round < kRounds; ++round) {
    struct Victim {
      pid_t pid;
      Progress* progress;
      std::filesystem::path file;
      double life_s, killed_s;
    };
    std::vector<Victim> victims;
    for (int i = 0; i < kAtOnce; ++i) {
      auto* progress = shared_progress();
      const auto file = folder.path() / (std::to_string(round) + "-" + std::to_string(i) + ".h5");
      const double step_s = i % 2 ? 0.005 : 0.15;
      victims.push_back({samples::in_child([&] { write_for_ever(file, *progress, step_s, false); }), progress, file,
                         life_s(random), 0});
    }
    std::sort(victims.begin(), victims.end(), [](const auto& a, const auto& b) { return a.life_s < b.life_s; });
    const double start_s = now_s();
    for (auto& victim : victims) {
      const double left_s = start_s + victim.life_s - now_s();
      if (left_s > 0) std::this_thread::sleep_for(std::chrono::duration<double>(left_s));
      ::kill(victim.pid, SIGKILL);
      victim.killed_s = now_s();
      CHECK(samples::wait_for(victim.pid) == 128 + SIGKILL);
    }
    for (const auto& victim : victims) {
      const std::int64_t kept = check_left(victim.file);
      CAPTURE(victim.life_s, kept, victim.progress->step.load());
      if (!std::filesystem::exists(victim.file)) {
        CHECK(victim.life_s < 1.0);
        continue;
      }
      // The first step that is missing ended less than a second before the kill.
      const auto run = read(victim.file);
      const double last_kept_s = run.steps.empty() ? start_s : run.steps.back().start_time_s;
      if (victim.progress->step > kept) CHECK(victim.killed_s - last_kept_s < 1.0 + 0.15);
      ::munmap(victim.progress, sizeof(Progress));
    }
  }
}

TEST_CASE("a kill in the middle of a flush leaves a log that opens") {
  std::mt19937 random(11);
  std::uniform_int_distribution<int> life_us(500, 120'000);
  const tests::TemporaryFolder folder;
  auto* progress = shared_progress();
  constexpr int kKills = 100;
  int with_steps = 0, plain = 0;
  for (int i = 0; i < kKills; ++i) {
    const auto file = folder.path() / (std::to_string(i) + ".h5");
    const pid_t child = samples::in_child([&] { write_for_ever(file, *progress, 0, true); });
    std::this_thread::sleep_for(std::chrono::microseconds(life_us(random)));
    ::kill(child, SIGKILL);
    CHECK(samples::wait_for(child) == 128 + SIGKILL);
    if (check_left(file) == 0) continue;
    ++with_steps;
    try {
      plain += hdf5::File::open(file).dataset("/steps/loss").shape()[0] > 0;
    } catch (const UserError&) {
      // Killed between HDF5's own write of the superblock and ours: such a file needs `h5clear -s` for h5dump.
    }
    std::filesystem::remove(file);
  }
  ::munmap(progress, sizeof(Progress));
  CHECK(with_steps >= kKills / 2);
  CHECK(plain >= with_steps - 3);
}
