#include "runlog/gpu_use.h"

#include <cmath>
#include <filesystem>

#include "runlog/reader.h"
#include "runlog/writer.h"
#include "tests/catch.h"
#include "tests/command.h"
#include "tests/runlog/samples.h"

namespace gpumonth::runlog {
namespace {

/// Three warm-up steps that must not count, then 10 of 0.1 s and 10 of 0.3 s.
Run metered_run() {
  Run run;
  run.info = samples::info(2);
  run.info.peak_flops_per_s = 200e12;
  run.info.peak_sm_clock_mhz = 1830;
  for (int n = 1; n <= 23; ++n) {
    StepRecord step = samples::step(1);
    step.step = n;
    step.phase = n <= 3 ? Phase::warm_up : Phase::steady;
    step.step_time_s = n <= 13 ? 0.1 : 0.3;
    step.model_flops = 1600e12 * step.step_time_s / 10;  // 160 TFLOP/s of 400
    step.samples = 16;
    step.energy_j = n <= 3 ? 1e6 : n == 10 ? std::nan("") : 50;  // step 11 brings what step 10 did not
    if (n == 11) step.energy_j = 100;
    step.power_w = n <= 3 ? 9 : n <= 13 ? 500 : 700;
    step.sm_clock_mhz = n <= 3 ? 9 : n <= 13 ? 1800 : 1400;
    step.clock_limit = n <= 13 ? 0 : n <= 18 ? 1 : 3;
    run.steps.push_back(step);
  }
  return run;
}

}  // namespace

TEST_CASE("energy is by step and sample, power and clock are means by time of steady steps") {
  const GpuUse use = gpu_use(metered_run());
  CHECK(use.known());
  CHECK(use.energy_per_step_j == Approx(50));
  CHECK(use.energy_per_sample_j == Approx(50 * 2 / 16.0));  // two GPUs, 16 samples a step
  CHECK(use.power_w == Approx((1 * 500 + 3 * 700) / 4.0));
  CHECK(use.sm_clock_mhz == Approx((1 * 1800 + 3 * 1400) / 4.0));
  CHECK(use.power_limited == Approx(0.75));
  CHECK(use.heat_limited == Approx(1.5 / 4));
}

TEST_CASE("MFU at the clock that was held is MFU over a peak in proportion to the clock") {
  CHECK(mfu_at_clock(0.46, 1830, 1500) == Approx(0.46 * 1.22));
  CHECK(mfu_at_clock(0.46, 1830, 1830) == Approx(0.46));
  CHECK(std::isnan(mfu_at_clock(0.46, std::nan(""), 1500)));
  CHECK(std::isnan(mfu_at_clock(0.46, 1830, std::nan(""))));
  CHECK(std::isnan(mfu_at_clock(0.46, 1830, 0)));
}

TEST_CASE("the closing line says energy, clock, limits and both MFUs") {
  const std::string text = gpu_text(metered_run());
  for (const char* part :
       {"50 J a step", "6.25 J a sample", "650 W", "1500 MHz", "power-limited 75 %", "limited by heat 38 % of the time",
        "MFU 40.0 % of 200.0 TFLOP/s", "48.8 % of the peak", "at 1830 MHz"})
    CHECK_THAT(text, tests::contains(part));
}

TEST_CASE("what the driver did not say is left out, and a CPU says nothing") {
  Run run = metered_run();
  for (StepRecord& step : run.steps) step.energy_j = step.power_w = step.sm_clock_mhz = step.clock_limit = std::nan("");
  CHECK_FALSE(gpu_use(run).known());
  CHECK(limits_text(gpu_use(run)).empty());
  CHECK(gpu_text(run) == "rank 0's GPU: MFU 40.0 % of 200.0 TFLOP/s");
  run.info.peak_flops_per_s = std::nan("");
  CHECK(gpu_text(run).empty());
  CHECK(gpu_text(Run{}).empty());
  for (StepRecord& step : run.steps) step.clock_limit = 0;
  CHECK(limits_text(gpu_use(run)) == "not limited");
}

TEST_CASE("logs of before clock_limit are read, and the clock of the peak is kept where it is known") {
  const tests::TemporaryFolder folder;
  const auto file = folder.path() / "run.h5";
  Run run = metered_run();
  run.info.power_source = "NVML";
  write(file, run);
  CHECK(read(file).info.peak_sm_clock_mhz == 1830);
  CHECK(gpu_use(read(file)).power_limited == Approx(0.75));

  const auto shipped = std::filesystem::path(GPUMONTH_SOURCE_DIR) / "docs/measurements/2026-11-27-h200/xl2-256.h5";
  // docs/measurements/2026-11-27-h200.md: 140.6 J a step, 692 W, 1,500 MHz, 128 samples a step
  const Run old = read(shipped);
  const GpuUse use = gpu_use(old);
  CHECK(use.energy_per_step_j == Approx(140.6).epsilon(0.02));
  CHECK(use.energy_per_sample_j == Approx(use.energy_per_step_j / 128));
  CHECK(use.power_w == Approx(692).epsilon(0.01));
  CHECK(use.sm_clock_mhz == Approx(1500).epsilon(0.02));
  CHECK(std::isnan(use.power_limited));
  CHECK(std::isnan(old.info.peak_sm_clock_mhz));
}

}  // namespace gpumonth::runlog
