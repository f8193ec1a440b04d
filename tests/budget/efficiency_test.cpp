#include "budget/inputs/efficiency.h"

#include <algorithm>
#include <cmath>
#include <random>

#include "base/quantile.h"
#include "base/shipped.h"
#include "scaling/bootstrap.h"
#include "scaling/curve_of_runs.h"
#include "tests/budget/samples.h"
#include "tests/catch.h"

using namespace gpumonth;
using tests::contains;

TEST_CASE("MFU is FLOPs over time and peak of the steady steps", "[mfu]") {
  for (const int ranks : {1, 4}) {
    const auto e = budget::efficiency_of(tests::make_run(0.37, ranks));
    REQUIRE(e.has_mfu());
    CHECK(e.steps == 40);
    CHECK(e.mfu == Approx(0.37));
    CHECK(e.mfu_low == Approx(0.37));
    CHECK(e.mfu_high == Approx(0.37));
    CHECK(e.step_mfu_median == Approx(0.37));
    CHECK(e.samples_per_s == Approx(80));
    CHECK(e.flops_per_s == Approx(0.37 * 100e9 * ranks));
    CHECK(e.step_median_s == Approx(0.1));
    CHECK(e.peak_is_measured);
  }
}

TEST_CASE("slow steps count in full, checkpoints and warm-up not at all", "[mfu]") {
  auto run = tests::make_run(0.5);
  run.steps[20].step_time_s = 2.1;  // 40 steps: 39 x 0.1 s + 2.1 s = 6 s instead of 4 s
  run.steps[30].phase = runlog::Phase::checkpoint;
  run.steps[30].step_time_s = 1000;
  const auto e = budget::efficiency_of(run);
  CHECK(e.steps == 39);
  CHECK(e.mfu == Approx(0.5 * 39 * 0.1 / (38 * 0.1 + 2.1)));
  CHECK(e.step_mfu_median == Approx(0.5));
  CHECK(e.mfu_low < e.mfu);
  CHECK(e.mfu_high <= 0.5 + 1e-12);
  CHECK(e.mfu_high > e.mfu);
}

TEST_CASE("a datasheet peak goes before the measured GEMM rate", "[mfu]") {
  auto run = tests::make_run(0.5);
  run.info.backend = "cuda";
  run.info.peak_flops_per_s = 200e9;
  run.info.peak_source = "datasheet: X";
  const auto e = budget::efficiency_of(run);
  CHECK(e.mfu == Approx(0.25));
  CHECK_FALSE(e.peak_is_measured);
  CHECK(e.peak_source == "datasheet: X");
}

TEST_CASE("MFU at the clock that was held needs the clock of the peak, of the log or of the device", "[mfu]") {
  auto run = tests::make_run(0.5);
  run.info.backend = "cuda";
  run.info.device_name = "NVIDIA H200";
  run.info.peak_flops_per_s = 989.4e12;
  run.info.peak_source = "datasheet: H200 SXM";
  for (auto& step : run.steps) step.model_flops = 0.4 * 989.4e12 * step.step_time_s;
  CHECK(std::isnan(budget::efficiency_of(run).mfu_at_clock));
  for (auto& step : run.steps) step.sm_clock_mhz = 1500;
  if (!shipped_configs().empty())  // an older log: configs/hardware knows 1830 MHz
    CHECK(budget::efficiency_of(run).mfu_at_clock == Approx(0.4 * 1830 / 1500));
  run.info.peak_sm_clock_mhz = 2000;
  CHECK(budget::efficiency_of(run).mfu_at_clock == Approx(0.4 * 2000 / 1500));
  CHECK(budget::efficiency_of(run).mfu == Approx(0.4));
  run.info.peak_sm_clock_mhz = NAN;
  run.info.peak_flops_per_s = 1000e12;  // not the device's in configs/hardware
  CHECK(std::isnan(budget::efficiency_of(run).mfu_at_clock));
}

TEST_CASE("without a peak or without steady steps there is no MFU, and a reason", "[mfu]") {
  auto run = tests::make_run(0.5);
  run.info.gemm_peak_flops_per_s = NAN;
  const auto blind = budget::efficiency_of(run);
  CHECK_FALSE(blind.has_mfu());
  CHECK(std::isnan(blind.mfu));
  CHECK(blind.samples_per_s == Approx(80));
  CHECK_THAT(blind.why_unknown, contains("Some CPU"));
  const auto young = budget::efficiency_of(tests::make_run(0.5, 1, 3));
  CHECK_FALSE(young.has_mfu());
  CHECK_THAT(young.why_unknown, contains("none of them steady"));
  CHECK_FALSE(budget::pooled_mfu({blind, young}).known());
}

TEST_CASE("several runs pool to their widest range", "[mfu]") {
  const auto pooled = budget::pooled_mfu(
      {budget::efficiency_of(tests::make_run(0.4, 1)), budget::efficiency_of(tests::make_run(0.3, 2))});
  CHECK(pooled.low == Approx(0.3));
  CHECK(pooled.high == Approx(0.4));
  CHECK(pooled.tag == budget::Tag::measured);
  CHECK(pooled.inputs == std::vector<std::string>{"run run-1.h5", "run run-2.h5"});
}

TEST_CASE("only the very device with a datasheet peak is not carried over", "[mfu]") {
  const auto target = tests::sora().hardware;
  auto run = tests::make_run(0.5);
  CHECK(budget::is_carried_over({budget::efficiency_of(run)}, target));
  run.info.backend = "cuda";
  run.info.device_name = "NVIDIA H100 80GB HBM3";
  run.info.peak_flops_per_s = 989.4e12;
  run.info.peak_source = "datasheet";
  CHECK_FALSE(budget::is_carried_over({budget::efficiency_of(run)}, target));
  run.info.device_name = "NVIDIA H100 PCIe";
  CHECK(budget::is_carried_over({budget::efficiency_of(run)}, target));
}

TEST_CASE("quantiles interpolate", "[statistics]") {
  CHECK(quantile({4, 1, 3, 2}, 0.5) == Approx(2.5));
  CHECK(quantile({5, 1, 3}, 0) == 1);
  CHECK(quantile({5, 1, 3}, 1) == 5);
  CHECK(quantile({0, 10}, 0.05) == Approx(0.5));
  std::vector<double> values = {9, 2, 7, 4};
  for (const double q : {0.0, 0.1, 1.0 / 3, 0.5, 0.9, 1.0}) {
    const double sorted = quantile_of_sorted(std::vector<double>{2, 4, 7, 9}, q);
    CHECK(quantile_in_place(values, q) == sorted);
    CHECK(quantile({9, 2, 7, 4}, q) == sorted);
  }
  CHECK_THROWS_AS(quantile({}, 0.5), std::invalid_argument);
}

TEST_CASE("the 90 % bootstrap interval covers the truth about 90 times in 100", "[statistics]") {
  std::mt19937_64 random(7);
  std::normal_distribution<double> noise(1.0, 0.2);
  int covered = 0;
  constexpr int kTrials = 300, kSteps = 80;
  double width = 0;
  for (int trial = 0; trial < kTrials; ++trial) {
    std::vector<double> work, time;
    for (int i = 0; i < kSteps; ++i) {
      work.push_back(1);
      time.push_back(noise(random));
    }
    const auto interval = scaling::bootstrap_ratio(work, time, 400);
    covered += interval.low <= 1.0 && 1.0 <= interval.high;
    width += (interval.high - interval.low) / kTrials;
  }
  CHECK(covered > 0.80 * kTrials);
  CHECK(covered < 0.96 * kTrials);
  CHECK(width == Approx(2 * 1.645 * 0.2 / std::sqrt(kSteps)).epsilon(0.15));
}

TEST_CASE("neighbouring steps that are alike widen the interval", "[statistics]") {
  std::vector<double> work(216, 1.0), together, apart;
  for (int i = 0; i < 216; ++i) {
    together.push_back((i / 12) % 2 ? 1.2 : 0.8);
    apart.push_back(i % 2 ? 1.2 : 0.8);
  }
  const auto slow = scaling::bootstrap_ratio(work, together), fast = scaling::bootstrap_ratio(work, apart);
  CHECK(slow.high - slow.low > 2 * (fast.high - fast.low));
}

TEST_CASE("what follows from a replayed or simulated run says so", "[efficiency]") {
  auto measured = tests::make_run(0.4, 1), replayed = tests::make_run(0.35, 2), simulated = tests::make_run(0.3, 4);
  replayed.info.origin = runlog::Origin::replayed;
  replayed.info.source_run = "one-gpu.h5";
  replayed.info.source_changes = "compute x 0.5";
  simulated.info.origin = runlog::Origin::simulated;
  const auto a = budget::efficiency_of(measured), b = budget::efficiency_of(replayed),
             c = budget::efficiency_of(simulated);
  CHECK(budget::pooled_mfu({a}).tag == budget::Tag::measured);
  CHECK(budget::pooled_mfu({a, b}).tag == budget::Tag::replayed);
  CHECK(budget::pooled_mfu({a, b, c}).tag == budget::Tag::simulated);
  CHECK(b.source == "one-gpu.h5; compute x 0.5");
  const auto said = [](const std::vector<std::string>& notes, const std::string& what) {
    return std::ranges::any_of(notes, [&](const auto& note) { return note.find(what) != note.npos; });
  };
  CHECK_FALSE(said(budget::reading_notes({a}), "measured;"));
  CHECK(
      said(budget::reading_notes({a, b, c}), "not all of the 3 runs were measured; replayed (recorded compute, real "));
  CHECK(said(scaling::curve_of_runs({measured, replayed}).notes, "replayed (recorded compute, real communication): "));
}
