// A training on a GPU whose driver says what it takes: from NVML to the log and the last lines of `train`.
#include <fmt/format.h>

#include <filesystem>

#include "runlog/gpu_use.h"
#include "runlog/reader.h"
#include "tests/catch.h"
#include "tests/command.h"

using namespace gpumonth;
using namespace gpumonth::tests;
namespace fs = std::filesystem;

TEST_CASE("train logs energy, clock and what held it down, and says them at its end") {
  const TemporaryFolder folder;
  fs::create_symlink(FAKE_NVML, folder.path() / "libnvidia-ml.so.1");
  const std::string emulated = "GPU-01010101-0101-0101-0101-010101010101";  // the emulator's first
  const CommandResult result = run_command(fmt::format(
      "LD_LIBRARY_PATH={0} FAKE_NVML_BUSY_GPU={1} {2} train {3}/configs/runs/tiny.toml --set run.directory={0}/out "
      "--set run.steps=12 --set batch.global=4 --set run.backend=cuda --set log.steady_after=4 "
      "--set checkpoint.at_end=false --set log.measure_gemm_peak=false",
      folder.path().string(), emulated, GPUMONTH_BINARY, GPUMONTH_SOURCE_DIR));
  INFO(result.out << result.err);
  REQUIRE(result.exit_code == 0);
  CHECK_THAT(result.out, contains("rank 0's GPU: ") && contains(" J a step, ") &&
                             contains("691 W; 1500 MHz; power-limited 100 % of the time"));
  const runlog::Run log = runlog::read(folder.path() / "out/run.h5");
  CHECK_THAT(log.info.power_source, contains("NVML") && contains("energy counter"));
  const runlog::GpuUse use = runlog::gpu_use(log);
  CHECK(use.energy_per_step_j > 0);
  CHECK(use.energy_per_sample_j == Approx(use.energy_per_step_j / 4));
  CHECK(use.heat_limited == 0);
}
