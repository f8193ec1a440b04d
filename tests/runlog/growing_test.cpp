// The log can be read while another process writes it: by our reader, and by programs that know nothing of SWMR.
#include <chrono>
#include <thread>

#include "base/error.h"
#include "base/hdf5.h"
#include "runlog/reader.h"
#include "runlog/writer.h"
#include "tests/catch.h"
#include "tests/command.h"
#include "tests/runlog/samples.h"

using namespace gpumonth;
using namespace gpumonth::runlog;
using namespace std::chrono_literals;

namespace {

/// Steps of 2 ms for a good second, flushed as the writer sees fit.
void write_for_a_while(const std::filesystem::path& file, int steps) {
  Writer writer(file, samples::info());
  for (int n = 1; n <= steps; ++n) {
    StepRecord record = samples::step(n);
    record.step_time_s = 0.002;
    writer.step(record);
    writer.rank_times(n, std::vector<float>{1.0f * static_cast<float>(n), 2.0f});
    if (n % 50 == 0) writer.flush();
    std::this_thread::sleep_for(2ms);
  }
  writer.close();
}

}  // namespace

TEST_CASE("a log is whole at every moment of its growth") {
  const tests::TemporaryFolder folder;
  const auto file = folder.path() / "run.h5";
  constexpr int kSteps = 1200;
  const pid_t child = samples::in_child([&] { write_for_a_while(file, kSteps); });
  std::size_t last = 0;
  int distinct = 0, wrong = 0, plain_readers = 0, refused = 0;
  bool running = true;
  while (running) {
    running = ::waitpid(child, nullptr, WNOHANG) == 0;
    if (!std::filesystem::exists(file)) continue;
    const Run run = read(file);  // throws where the log is not whole
    if (run.steps.size() < last) ++wrong;
    if (run.steps.size() > last) ++distinct;
    last = run.steps.size();
    for (std::size_t i = 0; i < run.steps.size(); ++i) {
      if (run.steps[i].step != static_cast<std::int64_t>(i) + 1 ||
          run.steps[i].loss != samples::step(run.steps[i].step).loss)
        ++wrong;
    }
    for (std::size_t i = 0; i < run.rank_steps.size(); ++i) {
      if (run.rank_step_time_s[2 * i] != static_cast<float>(i + 1)) ++wrong;
    }
    if (running && last > 0) {
      // As h5dump opens it: without SWMR. In the microseconds of a flush it is refused, and tries again.
      try {
        const auto plain = hdf5::File::open(file);
        if (plain.dataset("/steps/loss").shape()[0] > 0) ++plain_readers;
      } catch (const UserError&) {
        ++refused;
      }
    }
    std::this_thread::sleep_for(1ms);
  }
  CHECK(wrong == 0);
  CHECK(last == kSteps);
  CHECK(distinct >= 10);
  CHECK(plain_readers >= 10);
  CHECK(refused * 10 <= plain_readers);
  CHECK(read(file).clean_close);
}

TEST_CASE("steps reach the file within a second without being asked to") {
  const tests::TemporaryFolder folder;
  Writer writer(folder.path() / "run.h5", samples::info());
  const auto start = std::chrono::steady_clock::now();
  for (int n = 1; std::chrono::steady_clock::now() - start < 2500ms; ++n) {
    std::this_thread::sleep_for(40ms);
    StepRecord record = samples::step(n);
    record.step_time_s = 0.04;
    record.start_time_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    writer.step(record);
    const Run run = read(folder.path() / "run.h5");
    const double seen_s = run.steps.empty() ? 0 : run.steps.back().start_time_s;
    CHECK(record.start_time_s - seen_s < 1.0);
  }
}

TEST_CASE("steps longer than a second are written one by one") {
  const tests::TemporaryFolder folder;
  Writer writer(folder.path() / "run.h5", samples::info());
  for (int n = 1; n <= 3; ++n) {
    StepRecord record = samples::step(n);
    record.step_time_s = 30;
    writer.step(record);
    CHECK(read(folder.path() / "run.h5").steps.size() == static_cast<std::size_t>(n));
  }
}

TEST_CASE("h5dump reads a log that is being written") {
  const tests::TemporaryFolder folder;
  Writer writer(folder.path() / "run.h5", samples::info());
  for (int n = 1; n <= 600; ++n) writer.step(samples::step(n));
  writer.flush();
  const auto dump =
      tests::run_command("h5dump -d /steps/phase -s 0 -c 4 '" + (folder.path() / "run.h5").string() + "'");
  CHECK(dump.exit_code == 0);
  CHECK_THAT(dump.out, tests::contains("warm_up, warm_up, warm_up, steady"));
}
