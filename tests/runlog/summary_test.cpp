#include "runlog/summary.h"

#include <cmath>
#include <vector>

#include "tests/catch.h"
#include "tests/runlog/samples.h"

namespace gpumonth::runlog {

TEST_CASE("a summary is of sums over all steady steps, and says what it left out") {
  Run run;
  for (int i = 1; i <= 7; ++i) {
    StepRecord step = samples::step(i);
    step.samples = 16;
    step.step_time_s = i == 6 ? 2.6 : i == 7 ? 50 : 0.1 * i;  // a stall counts in full
    step.model_flops = 2e9;
    step.comm_s = 0.2;
    step.exposed_comm_s = i == 5 ? 0.08 : 0.0;
    step.phase = i <= 2 ? Phase::warm_up : i == 7 ? Phase::checkpoint : Phase::steady;
    run.steps.push_back(step);
  }
  const Summary s = summarize(run);
  CHECK(s.steps == 4);
  CHECK(s.time_s == Approx(0.3 + 0.4 + 0.5 + 2.6));
  CHECK(s.samples_per_s == Approx(64 / 3.8));
  CHECK(s.mean.step_time_s == Approx(0.95));
  CHECK(s.model_flops_per_s == Approx(8e9 / 3.8));
  CHECK(s.hidden_comm == Approx(1 - 0.08 / 0.8));
  CHECK(s.warm_up.steps == 2);
  CHECK(s.checkpoint.steps == 1);
  CHECK(left_out_text(s) == "3 of 7 steps are left out (2 warm_up, 1 checkpoint), 93.0 % of the time");
  CHECK(to_text(s).find("4 steady steps, mean 950.0 ms") == 0);
  CHECK(to_text(s).find("16.84 samples/s") != std::string::npos);
  CHECK(to_text(s).find("90 % of it hidden") != std::string::npos);
  CHECK(to_text(s).find("2 warm_up, 1 checkpoint") != std::string::npos);
}

TEST_CASE("the parts of the mean step sum to it") {
  Run run;
  for (int i = 1; i <= 20; ++i) {
    run.steps.push_back(samples::step(i));
    run.steps.back().step_time_s = 0.01 * i;
  }
  const Summary s = summarize(run);
  CHECK(s.mean.data_s + s.mean.forward_s + s.mean.backward_s + s.mean.exposed_comm_s + s.mean.optimizer_s +
            s.other_s() ==
        Approx(s.mean.step_time_s));
}

TEST_CASE("a slow start counts, and is said with both throughputs") {
  Run run;
  for (int i = 1; i <= 100; ++i) {
    StepRecord step = samples::step(1);
    step.step = i;
    step.phase = Phase::steady;
    step.samples = 4;
    step.step_time_s = i <= 45 ? 0.2 : 0.1;
    run.steps.push_back(step);
  }
  const Summary s = summarize(run);
  CHECK(s.steps == 100);
  CHECK(s.samples_per_s == Approx(400 / 14.5));
  CHECK(s.slow_start.steps == 45);
  CHECK(s.slow_start.time_s == Approx(9));
  CHECK(s.samples_per_s_after == Approx(40));
  for (const char* part : {"first 45 of 100", "62 % of the time", "27.59 samples/s", "40 without"})
    CHECK(slow_start_text(s).find(part) != std::string::npos);
  CHECK(left_out_text(s).empty());
  for (auto& step : run.steps) step.step_time_s = 0.1 + 1e-4 * static_cast<double>(step.step % 7);
  CHECK(slow_start_text(summarize(run)).empty());
}

TEST_CASE("a batch that grows is no slow start, and each step has its own samples") {
  Run run;
  for (int i = 1; i <= 100; ++i) {
    StepRecord step = samples::step(1);
    step.step = i;
    step.phase = Phase::steady;
    step.samples = i <= 50 ? 4 : 64;
    step.step_time_s = static_cast<double>(step.samples) / 64;
    run.steps.push_back(step);
  }
  const Summary s = summarize(run);
  CHECK(s.samples_per_s == Approx(64));
  CHECK(s.batch() == Approx(34));
  CHECK(s.least_samples == 4);
  CHECK(s.most_samples == 64);
  CHECK(s.slow_start.steps == 0);
}

TEST_CASE("the logs of a resumed run are summed") {
  std::vector<Run> logs(2);
  for (int i = 1; i <= 10; ++i) {
    StepRecord step = samples::step(i);
    step.step_time_s = i <= 5 ? 0.1 : 0.3;
    step.phase = Phase::steady;
    logs[i <= 5 ? 0 : 1].steps.push_back(step);
  }
  CHECK(summarize(logs).samples_per_s == Approx(160 / 2.0));
}

TEST_CASE("without steady steps there is nothing to say, without communication nothing hidden") {
  Run run;
  CHECK(to_text(summarize(run)).empty());
  StepRecord step = samples::step(1);
  step.phase = Phase::steady;
  step.comm_s = step.exposed_comm_s = 0;
  run.steps.push_back(step);
  CHECK(std::isnan(summarize(run).hidden_comm));
  CHECK(to_text(summarize(run)).find("hidden") == std::string::npos);
}

}  // namespace gpumonth::runlog
