// A run of which every number can be worked out by hand: steps of 1 s, 20 of them; 1 to 3 warm up, 10 and 20 hold a
// checkpoint, and every fourth has a timeline of three buckets.
#pragma once

#include <cmath>

#include "runlog/record.h"
#include "runlog/writer.h"
#include "tests/command.h"
#include "tests/runlog/samples.h"

namespace gpumonth::exchange::samples {

inline runlog::StepRecord made_step(std::int64_t n) {
  runlog::StepRecord s;
  s.step = n;
  s.start_time_s = static_cast<double>(n - 1);
  s.step_time_s = 1;
  s.data_s = 0.05;
  s.forward_s = 0.25;  // backward from 0.3 to 0.6
  s.backward_s = 0.3;
  s.exposed_comm_s = 0.15;  // 0.1 for buckets, 0.05 behind the optimizer
  s.comm_s = 0.3;
  s.optimizer_s = 0.1;  // 0.85 s in all, 0.15 of something else
  s.samples = 16;
  s.tokens = 16 * 64;
  s.model_flops = s.hardware_flops = 1e12;
  s.loss = 1.0 / static_cast<double>(n);
  s.grad_norm = 1;
  s.learning_rate = 1e-4;
  s.phase = n <= 3 ? runlog::Phase::warm_up : n % 10 == 0 ? runlog::Phase::checkpoint : runlog::Phase::steady;
  return s;
}

/// Rank r is busy for 0.7 (1 + r / 10) s.
inline runlog::Run made_run(int ranks = 2) {
  runlog::Run run;
  run.path = "made.h5";
  run.clean_close = true;
  run.info = runlog::samples::info(ranks);
  run.info.config_toml = "[comm]\nsharding = \"none\"\n";
  for (std::int64_t n = 1; n <= 20; ++n) {
    run.steps.push_back(made_step(n));
    run.rank_steps.push_back(n);
    for (int r = 0; r < ranks; ++r) run.rank_step_time_s.push_back(0.7F * (1 + 0.1F * static_cast<float>(r)));
    if (n % 4 != 0 || ranks == 1) continue;
    run.buckets.push_back({n, 0, 1'000'000, 0.40, 0.40, 0.50});
    run.buckets.push_back({n, 1, 1'000'001, 0.45, 0.50, 0.60});  // waits for bucket 0
    run.buckets.push_back({n, 2, 500'000, 0.60, 0.60, 0.70});
  }
  return run;
}

inline std::string write_run(const gpumonth::tests::TemporaryFolder& folder, const runlog::Run& run) {
  const auto file = folder.path() / run.path;
  runlog::write(file, run);
  return file.string();
}

}  // namespace gpumonth::exchange::samples
