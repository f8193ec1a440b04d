// gpumonth replay --transport nccl as a user starts it, on emulated GPUs.
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

/// 40 steady steps of 46 ms in a folder of their own.
struct Recorded {
  TemporaryFolder folder;
  fs::path log = folder.path() / "source.h5", out = folder.path() / "out";
  Recorded() { runlog::write(log, replay::samples::run()); }

  std::string command(const std::string& more = "") const {
    return fmt::format("{} replay {} --directory {} --steps 20 --transport nccl {}", GPUMONTH_BINARY, log.string(),
                       out.string(), more);
  }
};

/// Whether this machine was too busy, which must be said; else the replay is to have ended well.
bool is_late(const CommandResult& result, const fs::path& out) {
  INFO(result.out << result.err);
  if (result.exit_code == 2 && result.err.find("is no replay") != std::string::npos) {
    CHECK_THAT(result.err, contains("GPUs on which nothing else runs"));
    CHECK_FALSE(fs::exists(out / "run.h5"));
    return true;
  }
  REQUIRE(result.exit_code == 0);
  return false;
}

TEST_CASE("a replay on two GPUs, and on one that two ranks share") {
  for (const std::string gpus : {"2", "1"}) {
    const Recorded recorded;
    const std::string more = gpus == "1" ? "--allow-shared-gpu" : "";
    const CommandResult result =
        run_command(fmt::format("GPUMONTH_EMULATED_GPUS={} {}", gpus, mpirun(2, recorded.command(more))));
    if (is_late(result, recorded.out)) continue;
    CHECK_THAT(result.out, contains("20 steps replayed") && contains("sleeps ended") && contains("NCCL"));
    CHECK_THAT(result.err, !contains("no CUDA graph"));
    const runlog::Run log = runlog::read(recorded.out / "run.h5");
    CHECK(log.info.transport == "nccl");
    CHECK(log.steps.size() == 20);
  }
}

TEST_CASE("GPUs that are not there, shared unasked or too small are refused in one line") {
  const Recorded recorded;
  const auto refused = [&](const std::string& command, const std::vector<std::string>& parts) {
    INFO(command);
    check_refused(run_command(command), parts, recorded.out);
  };
  refused("GPUMONTH_EMULATED_GPUS=0 " + recorded.command(), {"nccl", "use \"auto\" or \"mpi\""});
  refused("GPUMONTH_EMULATED_GPU_BYTES=100000 " + recorded.command(),
          {"the gradients, 0.00", "do not fit on GPU 0", "--byte-scale"});
  refused(recorded.command("--reduce none"), {"--reduce none", "NCCL"});
  refused(recorded.command("--compute busy"), {"--compute busy"});
  // mpirun has its own say as well
  const CommandResult shared = run_command("GPUMONTH_EMULATED_GPUS=1 " + mpirun(2, recorded.command()));
  CHECK(shared.exit_code == 2);
  CHECK_THAT(shared.err, contains("use the same GPU") && contains("allow_shared_gpu"));
}

}  // namespace
