// gpumonth train on a disk that is full, or fills up when a checkpoint is written: one line, exit code 2,
// nothing half-written. The disk is a small tmpfs in a mount namespace of its own; where that is not allowed
// the program ends with 77, which CTest counts as skipped.
#include <fmt/format.h>

#include <cmath>
#include <cstdio>

#include "runlog/reader.h"
#include "tests/catch.h"
#include "tests/trainer/runs.h"
#include "trainer/state/checkpoint.h"

using namespace gpumonth;
using namespace gpumonth::tests;
namespace fs = std::filesystem;

namespace {

/// Runs `commands` with a tmpfs of `size` at $disk; what they copy to $kept outlives it.
CommandResult on_small_disk(const TemporaryFolder& folder, const std::string& size, const std::string& commands) {
  const fs::path disk = folder.path() / "disk", kept = folder.path() / "kept";
  fs::create_directories(disk);
  fs::create_directories(kept);
  const auto script =
      folder.write("script.sh", fmt::format("mount -t tmpfs -o size={} none {} || exit 77\n"
                                            "disk={} kept={}\n{}\n",
                                            size, disk.string(), disk.string(), kept.string(), commands));
  const bool root = run_command("unshare -m true").exit_code == 0;
  return run_command(fmt::format("unshare {} sh {}", root ? "-m" : "-rm", script.string()));
}

/// Trains onto the small disk, then copies what is there.
CommandResult train_on_small_disk(const TemporaryFolder& folder, const std::string& size,
                                  std::vector<std::string> overrides, int ranks = 0) {
  overrides.push_back("run.directory=" + (folder.path() / "disk/out").string());
  return on_small_disk(folder, size,
                       train_command(ranks, write_run_file(folder), overrides) +
                           "\ncode=$?; [ -d $disk/out ] && cp -r $disk/out/. $kept; exit $code");
}

void check_full(const CommandResult& result, const std::string& file) {
  INFO(result.err);
  CHECK(result.exit_code == 2);
  CHECK_THAT(result.err, contains("gpumonth: ") && contains(file) && contains("no space left"));
  const auto first = result.err.find("gpumonth: ");
  CHECK(result.err.find("gpumonth: ", first + 1) == std::string::npos);
}

TEST_CASE("a disk that is full from the start") {
  const TemporaryFolder folder;
  const auto result = train_on_small_disk(folder, "8k", {});
  check_full(result, "run.h5");
  CHECK(std::count(result.err.begin(), result.err.end(), '\n') == 1);
  CHECK(names_in(folder.path() / "kept") == std::vector<std::string>{});
}

TEST_CASE("a disk that has no room for the second checkpoint keeps the first, and the log") {
  for (const int ranks : {0, 2}) {
    INFO(ranks << " ranks");
    const TemporaryFolder folder;
    // One checkpoint takes 1.8 MB.
    const auto result = train_on_small_disk(folder, "3m", {"checkpoint.every_steps=4"}, ranks);
    check_full(result, "checkpoint-8.h5");
    const fs::path kept = folder.path() / "kept";
    CHECK(names_in(kept) == std::vector<std::string>{"checkpoint-4.h5", "run.h5"});
    CHECK(trainer::read_checkpoint_info(kept / "checkpoint-4.h5").step == 4);
    CHECK_FALSE(read_tensors(kept / "checkpoint-4.h5", "/optimizer/exp_avg_sq").empty());
    CHECK(runlog::read(kept / "run.h5").steps.size() >= 7);
  }
}

bool can_mount() {
  const TemporaryFolder folder;
  return on_small_disk(folder, "8k", "exit 0").exit_code == 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (!can_mount()) {
    std::puts("skipped: no right to mount a tmpfs here");
    return 77;
  }
  return run_catch(argc, argv);
}
