// Logs of gpumonth sample: their attributes, who reads them, and what they say a denoising step costs.
#include "base/error.h"
#include "base/hdf5.h"
#include "runlog/reader.h"
#include "runlog/sampling_cost.h"
#include "runlog/writer.h"
#include "tests/catch.h"
#include "tests/command.h"
#include "tests/runlog/foreign.h"
#include "tests/runlog/samples.h"

using namespace gpumonth;
using namespace gpumonth::runlog;
using gpumonth::tests::contains;

namespace {

/// Two ranks of 8 samples, with guidance; the last of six steps was one rank's alone.
Run sampled() {
  Run run;
  run.info = samples::info();
  run.info.sampling = {"ddim", 6, 4, "runs/zwölf/checkpoint-300.h5", "0123abcd"};
  for (std::int64_t n = 1; n <= 6; ++n) {
    StepRecord step = samples::step(n);
    step.phase = n == 1 ? Phase::warm_up : Phase::steady;
    step.step_time_s = n == 1 ? 1 : 0.1 * static_cast<double>(n);  // 0.2 .. 0.6
    step.samples = n == 6 ? 8 : 16;
    step.model_flops = step.hardware_flops = 1e9 * static_cast<double>(step.samples);
    step.loss = step.grad_norm = std::nan("");
    run.steps.push_back(step);
  }
  return run;
}

TEST_CASE("a log of sampling says so, and is read by who asks for it alone") {
  const tests::TemporaryFolder folder;
  const auto file = folder.path() / "run.h5";
  write(file, sampled());
  CHECK(hdf5::File::open_growing(file).text_attribute("/", "kind") == "sampling");
  const auto back = read(file, Kind::any).info.sampling;
  REQUIRE(back);
  CHECK(back->sampler == "ddim");
  CHECK(back->steps == 6);
  CHECK(back->guidance == 4);
  CHECK(back->checkpoint == "runs/zwölf/checkpoint-300.h5");
  CHECK(back->checkpoint_crc32 == "0123abcd");
  CHECK_THROWS_WITH(read(file), contains("run.h5: a log of gpumonth sample") && contains("training run"));
}

TEST_CASE("a log of training has no such attributes, as logs had none before") {
  const tests::TemporaryFolder folder;
  const auto file = folder.path() / "run.h5";
  Writer(file, samples::info()).close();
  for (const char* attribute : {"kind", "sampler", "sampling_steps", "guidance"})
    CHECK_FALSE(hdf5::File::open(file).has_attribute("/", attribute));
  CHECK_FALSE(read(file, Kind::any).info.sampling);
}

TEST_CASE("a kind that is none, and numbers out of range, are refused") {
  const tests::TemporaryFolder folder;
  const auto file = folder.path() / "run.h5";
  write(file, sampled());
  samples::Changed(file).attribute("sampling_steps", std::vector<int>{0});
  CHECK_THROWS_WITH(read(file, Kind::any), contains("sampling_steps"));
  samples::Changed(file).attribute("kind", std::string("distillation"));
  CHECK_THROWS_WITH(read(file, Kind::any), contains("'kind' is 'distillation'"));
}

TEST_CASE("cost of a denoising step, by hand") {
  const Run run = sampled();
  const SamplingCost cost = sampling_cost(run);
  CHECK(cost.steps == 5);
  CHECK(cost.step_s == Approx(0.4));  // of 0.2 .. 0.6
  CHECK(cost.batch == 8);             // 16 over two ranks
  CHECK(cost.rank_s_per_sample_step() == Approx(0.05));
  CHECK(cost.flops_per_s == Approx(1e9 * (4 * 16 + 8) / 2.0));
  CHECK(cost.rank_flops_per_s == Approx(cost.flops_per_s / (14.4 / 8)));  // 72 samples in 5 steps
  CHECK(std::isnan(cost.energy_j));
  const std::string text = to_text(cost, run.info);
  CHECK_THAT(text, contains("ddim, 6 steps, guidance 4: 400 ms a denoising step of 8 samples, 50 ms a sample"));
  CHECK_THAT(text, contains("20.0 GFLOP/s a rank, 16.0 % of the GEMM rate"));
}

TEST_CASE("energy is the sum over the steps that count; without such steps there is no cost") {
  Run run = sampled();
  run.info.power_source = "NVML";
  for (auto& step : run.steps) step.energy_j = step.step == 3 ? std::nan("") : 10;
  CHECK(sampling_cost(run).energy_j == Approx(8));  // 4 of 5
  for (auto& step : run.steps) step.phase = Phase::warm_up;
  CHECK(sampling_cost(run).steps == 0);
  CHECK(to_text(sampling_cost(run), run.info).empty());
}

}  // namespace
