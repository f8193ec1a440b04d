// Logs of gpumonth sample in a budget: minutes of clip per GPU-hour at the share of the peak that the sampler reached.
#include <nlohmann/json.hpp>

#include "budget/budget.h"
#include "budget/inputs/sampled_run.h"
#include "tests/budget/samples.h"
#include "tests/catch.h"

using namespace gpumonth;
using nlohmann::json;
using tests::contains;

namespace {

constexpr double kPeak = 989.4e12;  // of the scenario's device

/// Steps of one rank, each a fifth of a second, at `share` of the peak.
runlog::Run sampled(const std::string& path, double share, double guidance) {
  runlog::Run run;
  run.path = path;
  run.info.model_name = "dit-s-2-video";
  run.info.backend = "cuda";
  run.info.device_name = "NVIDIA H100 80GB HBM3";
  run.info.peak_flops_per_s = kPeak;
  run.info.peak_source = "datasheet";
  run.info.global_batch = 8;
  run.info.sampling = {"ddpm", 250, guidance, "c.h5", "0123abcd"};
  for (int i = 0; i < 40; ++i) {
    runlog::StepRecord step;
    step.step = i + 1;
    step.start_time_s = 0.2 * i;
    step.step_time_s = 0.2;
    step.samples = 8;
    step.model_flops = step.hardware_flops = share * kPeak * 0.2;
    step.phase = i < 3 ? runlog::Phase::warm_up : runlog::Phase::steady;
    run.steps.push_back(step);
  }
  return run;
}

json inference(const std::vector<runlog::Run>& runs) {
  budget::BudgetOptions options;
  for (const auto& run : runs) options.sampled.push_back(budget::sampled_run(run));
  return json::parse(budget::to_json_text(budget::make_budget(tests::sora(), {}, options))).at("inference");
}

/// Of an interval that rounding alone opens either end.
double value(const json& group, const std::string& line) {
  const json& number = group.at(line);
  return (number.contains("value") ? number : json{{"value", number.at("low")}}).at("value").get<double>();
}

TEST_CASE("minutes per GPU-hour at the measured share of the peak, by hand") {
  const json out = inference({sampled("a.h5", 0.4, 4)});
  const double T = 184320, h = 6144, L = 30;  // a clip of one minute: the products of blocks; the rest is below 1e-4
  const double macs = L * (12 * T * h * h + 2 * T * T * h);
  const double by_hand = 1 * kPeak * 0.4 * 3600 / (2 * macs * 250 * 2);
  const double at_250 = value(out, "measured_minutes_per_gpu_hour_250_guided");
  CHECK(at_250 == Approx(by_hand).epsilon(1e-3));
  CHECK(value(out, "measured_minutes_per_gpu_hour_50_guided") == Approx(5 * at_250));
  CHECK(value(out, "measured_minutes_per_gpu_hour_4_guided") == Approx(62.5 * at_250));
  CHECK(value(out, "measured_minutes_per_gpu_hour_250") == Approx(2 * at_250));  // one forward a step instead of two
  CHECK(value(out, "measured_minutes_per_gpu_hour_4") == Approx(125 * at_250));
  CHECK(out.at("measured_minutes_per_gpu_hour_4").at("provenance").dump().find("run a.h5") != std::string::npos);
}

TEST_CASE("a log without guidance stands for sampling without it") {
  const json out = inference({sampled("a.h5", 0.4, 4), sampled("b.h5", 0.3, 1)});
  CHECK(value(out, "measured_minutes_per_gpu_hour_50") ==
        Approx(2 * 0.75 * value(out, "measured_minutes_per_gpu_hour_50_guided")));
}

TEST_CASE("without such logs nothing is measured, and one of steps that do not count is a note") {
  CHECK_FALSE(inference({}).contains("measured_minutes_per_gpu_hour_50"));
  runlog::Run run = sampled("short.h5", 0.4, 4);
  for (auto& step : run.steps) step.phase = runlog::Phase::warm_up;
  budget::BudgetOptions options;
  options.sampled.push_back(budget::sampled_run(run));
  const json out = json::parse(budget::to_json_text(budget::make_budget(tests::sora(), {}, options)));
  CHECK_FALSE(out.at("inference").contains("measured_minutes_per_gpu_hour_50"));
  CHECK_THAT(out.at("notes").dump(), contains("sampling of run short.h5"));
}

TEST_CASE("a sampler on another machine is carried over, which is an assumption") {
  runlog::Run run = sampled("cpu.h5", 0.4, 4);
  run.info.backend = "cpu";
  run.info.device_name = "Some CPU";
  run.info.gemm_peak_flops_per_s = run.info.peak_flops_per_s;
  const json out = inference({run});
  CHECK(out.at("measured_minutes_per_gpu_hour_50").at("provenance").at("tag") == "assumed");
}

}  // namespace
