#include "runlog/summary.h"

#include <cmath>

#include "tests/catch.h"
#include "tests/runlog/samples.h"

namespace gpumonth::runlog {

TEST_CASE("a summary takes medians over steady steps only, and sums for the hidden share") {
  Run run;
  for (int i = 1; i <= 7; ++i) {
    StepRecord step = samples::step(i);
    step.samples = 16;
    step.step_time_s = i == 7 ? 100 : 0.1 * i;  // one stall must not move the median
    step.model_flops = 2e9;
    step.comm_s = 0.2;
    step.exposed_comm_s = i == 5 ? 0.08 : 0.0;
    step.phase = i <= 2 ? Phase::warm_up : Phase::steady;
    run.steps.push_back(step);
  }
  const Summary s = summarize(run);
  CHECK(s.steps == 5);
  CHECK(s.median.step_time_s == Approx(0.5));
  CHECK(s.samples_per_s == Approx(32));
  CHECK(s.model_flops_per_s == Approx(4e9));
  CHECK(s.hidden_comm == Approx(1 - 0.08 / 1.0));
  CHECK(to_text(s).find("32.00 samples/s") != std::string::npos);
  CHECK(to_text(s).find("92 % of it hidden") != std::string::npos);
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
