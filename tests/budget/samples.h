// Run logs in memory with a known answer.
#pragma once

#include <cmath>
#include <filesystem>
#include <stdexcept>
#include <string>

#include "budget/budget.h"
#include "budget/inputs/scenario.h"
#include "runlog/record.h"

namespace gpumonth::tests {

inline std::string source_path(const std::string& file) {
  return (std::filesystem::absolute(GPUMONTH_SOURCE_DIR) / file).lexically_normal();
}

inline budget::Scenario sora(const std::vector<std::string>& overrides = {}) {
  return budget::load_scenario(source_path("configs/scenarios/sora-2024.toml"), overrides);
}

/// The text of the smallest scenario there is: `samples` samples ("value = 1e9", "low = 2, high = 8") on a
/// device of 1e14 FLOP/s at half its peak. `more`: further tables.
inline std::string small_scenario(const std::string& samples, const std::string& more = "") {
  return R"(
[hardware]
name = "X"
peak_flops_per_s = 1e14
[model_source]
tag = "assumed"
source = "test"
[time]
days_per_month = { value = 30, unit = "day", tag = "assumed", source = "test" }
[utilisation]
published_mfu = { value = 0.5, unit = "1", tag = "assumed", source = "test" }
[training]
samples = { )" +
         samples + R"(, unit = "sample", tag = "assumed", source = "test" }
)" + more;
}

/// `steps` steps of 0.1 s, the first three of them warm-up (10 x slower); every rank works at `mfu` of a peak
/// of 100 GFLOP/s.
inline runlog::Run make_run(double mfu, int ranks = 1, int steps = 43) {
  runlog::Run run;
  run.path = "run-" + std::to_string(ranks) + ".h5";
  run.info.gpumonth_version = "0.1.0";
  run.info.git_commit = "0123456789abcdef";
  run.info.config_toml = "[model]\ndepth = 12 # <b>not markup</b> & \"quoted\"\n";
  run.info.model_name = "dit-s-2";
  run.info.world_size = ranks;
  run.info.global_batch = 8;
  run.info.parameters = 32956064;
  run.info.backend = "cpu";
  run.info.transport = ranks > 1 ? "mpi" : "self";
  run.info.dtype = "fp32";
  run.info.device_name = "Some CPU";
  run.info.peak_flops_per_s = NAN;
  run.info.gemm_peak_flops_per_s = 100e9;
  run.info.start_time_utc = "2026-01-01T00:00:00Z";
  run.info.library_versions = {{"HDF5", "1.10.8"}};
  run.info.hostnames.assign(static_cast<std::size_t>(ranks), "node0");
  for (int i = 1; i <= steps; ++i) {
    runlog::StepRecord s;
    s.step = i;
    s.phase = i <= 3 ? runlog::Phase::warm_up : runlog::Phase::steady;
    s.step_time_s = i <= 3 ? 1.0 : 0.1;
    s.data_s = 0.001;
    s.forward_s = 0.03;
    s.backward_s = 0.05;
    s.exposed_comm_s = ranks > 1 ? 0.005 : 0;
    s.optimizer_s = 0.01;
    s.samples = 8;
    s.tokens = 8 * 256;
    s.model_flops = s.hardware_flops = mfu * 100e9 * ranks * 0.1;
    s.loss = 1.0 / i;
    run.steps.push_back(s);
    if (ranks == 1 || i % 10 != 0) continue;
    run.rank_steps.push_back(i);
    for (int r = 0; r < ranks; ++r) run.rank_step_time_s.push_back(0.09f + 0.001f * static_cast<float>(r));
    for (int b = 0; b < 4; ++b)
      run.buckets.push_back({i, b, 1 << 20, 0.03 + 0.01 * b, 0.031 + 0.01 * b, 0.04 + 0.01 * b});
  }
  return run;
}

/// The number of this line; nullptr where there is none.
inline const budget::Number* find_line(const budget::Budget& b, const std::string& group, const std::string& id) {
  for (const auto& g : b.groups)
    for (const auto& l : g.lines)
      if (g.id == group && l.id == id) return &l.number;
  return nullptr;
}

/// The same of a line that must be there. std::runtime_error otherwise.
inline const budget::Number& line(const budget::Budget& b, const std::string& group, const std::string& id) {
  if (const auto* found = find_line(b, group, id)) return *found;
  throw std::runtime_error("no line " + group + "." + id);
}

}  // namespace gpumonth::tests
