// gpumonth replay as a user starts it, from a log that gpumonth train has just written.
#include <fmt/format.h>

#include "runlog/reader.h"
#include "tests/catch.h"
#include "tests/replay/samples.h"
#include "tests/runlog/foreign.h"
#include "tests/trainer/runs.h"

using namespace gpumonth;
using namespace gpumonth::tests;
namespace fs = std::filesystem;

namespace {

CommandResult run_replay(int ranks, const fs::path& log, const fs::path& out, const std::string& more = "") {
  const std::string command =
      fmt::format("{} replay {} --directory {} --steps 20 {}", GPUMONTH_BINARY, log.string(), out.string(), more);
  return run_command(ranks > 0 ? mpirun(ranks, command) : command);
}

/// Whether this machine was too busy, which must be said; else the replay is to have ended well.
bool is_late(const CommandResult& result, const fs::path& out) {
  INFO(result.err);
  if (result.exit_code == 2 && result.err.find("is no replay") != std::string::npos) {
    CHECK_FALSE(fs::exists(out / "run.h5"));
    return true;
  }
  REQUIRE(result.exit_code == 0);
  return false;
}

/// 40 steady steps of 46 ms.
fs::path recorded(
    const TemporaryFolder& folder, const std::string& name = "source.h5",
    void (*change)(runlog::Run&) = [](runlog::Run&) {}) {
  runlog::Run run = replay::samples::run();
  change(run);
  runlog::write(folder.path() / name, run);
  return folder.path() / name;
}

}  // namespace

TEST_CASE("one rank's training says when its buckets were ready, and is replayed on two") {
  const TemporaryFolder folder;
  const fs::path file = write_run_file(folder);
  train(0, file, {"run.steps=24", "run.directory=" + (folder.path() / "one").string()});
  const runlog::Run one = runlog::read(folder.path() / "one" / "run.h5");
  REQUIRE(!one.buckets.empty());
  for (const auto& b : one.buckets) {
    const auto& s = *one.find(b.step);
    CHECK(b.ready_s >= s.data_s + s.forward_s);
    CHECK(b.ready_s <= s.data_s + s.forward_s + s.backward_s + 1e-6);
    CHECK(b.start_s == b.ready_s);  // nothing is sent
    CHECK(b.end_s == b.ready_s);
    CHECK(b.bytes > 0);
  }
  // Its steps take a few milliseconds: as slow as this no sleep is too late.
  const CommandResult result =
      run_replay(2, folder.path() / "one" / "run.h5", folder.path() / "two", "--compute-scale 40");
  if (is_late(result, folder.path() / "two")) return;
  CHECK_THAT(result.out, contains("20 steps replayed") && contains("sleeps ended"));
  const runlog::Run two = runlog::read(folder.path() / "two" / "run.h5");
  CHECK(two.info.world_size == 2);
  CHECK(two.info.source_changes == "compute x 40");
  double recorded_s = 0, replayed_s = 0;
  for (const auto& s : one.steady()) recorded_s += s.backward_s / 21;
  for (const auto& s : two.steady()) replayed_s += s.backward_s / 17;
  CHECK(replayed_s / 40 == Approx(recorded_s).epsilon(0.5));  // other steps are drawn
  REQUIRE(!two.buckets.empty());
  CHECK(two.buckets.back().bytes == one.buckets.back().bytes);
}

TEST_CASE("fit reads a replay") {
  const TemporaryFolder folder;
  const fs::path source = recorded(folder);
  std::string logs;
  for (const int ranks : {1, 2, 4}) {
    const fs::path out = folder.path() / std::to_string(ranks);
    if (is_late(run_replay(ranks, source, out), out)) return;
    logs += " " + (out / "run.h5").string();
  }
  const CommandResult fit = run_command(fmt::format("{} fit {} --predict 8", GPUMONTH_BINARY, logs));
  INFO(fit.err);
  CHECK(fit.exit_code == 0);
}

TEST_CASE("what cannot be replayed is refused in one line") {
  const TemporaryFolder folder;
  const fs::path out = folder.path() / "out";
  const auto refused = [&](const fs::path& log, const std::string& more, const std::vector<std::string>& parts) {
    INFO(log << " " << more);
    check_refused(run_replay(0, log, out, more), parts, out);
  };
  refused(folder.path() / "none.h5", "", {"none.h5"});
  refused(folder.write("text.h5", "no HDF5"), "", {"text.h5"});
  refused(recorded(folder, "short.h5", [](runlog::Run& r) { r.steps.resize(3), r.buckets.clear(); }), "",
          {"short.h5", "no steady steps"});
  refused(recorded(folder, "forward.h5",
                   [](runlog::Run& r) {
                     for (auto& s : r.steps) s.backward_s = 0;
                   }),
          "", {"forward.h5", "no time of backward"});
  const fs::path source = recorded(folder);
  refused(source, "--compute-scale 0", {"compute scale 0"});
  refused(source, "--byte-scale 3", {"byte scale 3"});
  refused(source, "--batch-per-rank 0", {"batch-per-rank"});
  refused(source, "--reduce mean", {"--reduce"});
  if (is_late(run_replay(0, source, out), out)) return;
  const CommandResult second = run_replay(0, source, out);
  CHECK(second.exit_code == 2);
  CHECK_THAT(second.err, contains("run.h5 exists") && contains("--directory"));
}
