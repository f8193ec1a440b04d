// Made-up records whose every field can be recomputed from the step.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <exception>
#include <string>

#include "runlog/record.h"

namespace gpumonth::runlog::samples {

inline RunInfo info(int world_size = 2) {
  RunInfo info;
  info.gpumonth_version = "0.1.0";
  info.git_commit = "0123abc";
  info.config_toml = "[model]\ndepth = 2  # \"two\", zwölf µs\n";
  info.model_name = "dit-s-2";
  info.world_size = world_size;
  info.threads_per_rank = 3;
  info.global_batch = 16;
  info.parameters = 33'000'000'000;
  info.backend = "cpu";
  info.transport = "mpi";
  info.dtype = "bf16";
  info.device_name = "Some CPU";
  info.peak_flops_per_s = std::nan("");
  info.peak_source = "";
  info.gemm_peak_flops_per_s = 1.25e11;
  info.library_versions = {{"Open MPI", "4.1.4"}, {"oneDNN", "2.6"}, {"HDF5", ""}};
  for (int rank = 0; rank < world_size; ++rank) info.hostnames.push_back("node" + std::to_string(rank));
  info.start_time_utc = "2024-03-15T12:00:00Z";
  info.start_time_unix_s = 1710504000.25;
  return info;
}

inline StepRecord step(std::int64_t n) {
  const auto x = static_cast<double>(n);
  StepRecord record;
  record.step = n;
  record.start_time_s = 0.05 * x;
  record.step_time_s = 0.05;
  record.data_s = 1e-4 * x;
  record.forward_s = 2e-4 * x;
  record.backward_s = 3e-4 * x;
  record.comm_s = 4e-4 * x;
  record.exposed_comm_s = 5e-4 * x;
  record.optimizer_s = 6e-4 * x;
  record.samples = 16;
  record.tokens = 16 * 256 * n;
  record.model_flops = 1e12 * x;
  record.hardware_flops = 1.5e12 * x;
  record.loss = 1 / x;
  record.grad_norm = 7 * x;
  record.learning_rate = 1e-4 * x;
  record.phase = n <= 3 ? Phase::warm_up : n % 10 == 0 ? Phase::checkpoint : Phase::steady;
  return record;
}

/// step(n) of a run with a power meter.
inline StepRecord metered_step(std::int64_t n) {
  StepRecord record = step(n);
  const auto x = static_cast<double>(n);
  record.energy_j = n % 2 == 0 ? 0 : 35 * x;
  record.power_w = 600 + x;
  record.sm_clock_mhz = 1980 - x;
  record.temperature_c = n % 5 == 0 ? std::nan("") : 40 + x;
  record.clock_limit = n % 7 == 0 ? std::nan("") : static_cast<double>(n % 4);
  return record;
}

inline bool same(const StepRecord& a, const StepRecord& b) {
  return a.step == b.step && a.start_time_s == b.start_time_s && a.step_time_s == b.step_time_s &&
         a.data_s == b.data_s && a.forward_s == b.forward_s && a.backward_s == b.backward_s && a.comm_s == b.comm_s &&
         a.exposed_comm_s == b.exposed_comm_s && a.optimizer_s == b.optimizer_s && a.samples == b.samples &&
         a.tokens == b.tokens && a.model_flops == b.model_flops && a.hardware_flops == b.hardware_flops &&
         a.loss == b.loss && a.grad_norm == b.grad_norm && a.learning_rate == b.learning_rate && a.phase == b.phase;
}

/// Runs `work` in a process of its own, which ends with 0, or 1 after an exception.
template <class F>
pid_t in_child(F&& work) {
  const pid_t child = ::fork();
  if (child != 0) return child;
  int code = 0;
  try {
    work();
  } catch (const std::exception&) {
    code = 1;
  }
  ::_exit(code);
}

inline int wait_for(pid_t child) {
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace gpumonth::runlog::samples
