// One result log of MLPerf Training: lines ":::MLLOG {json}", whatever a launcher wrote before them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace gpumonth::exchange {

/// What a result log says about its speed.
struct MllogRun {
  std::string file;
  std::string benchmark;           ///< "flux1", "stable_diffusion"; empty: the log does not say
  std::int64_t ranks = 0;          ///< accelerators; 0: the log does not say
  std::int64_t global_batch = 0;   ///< samples of a step; 0: the log does not say
  bool success = false;            ///< it reached the target
  std::vector<double> step_s;      ///< tracked_stats train_step_time, a value a block, s
  std::vector<double> throughput;  ///< tracked_stats throughput, in the order of the log
  double run_s = 0;                ///< run_start to run_stop; 0: not both are there
  double samples = 0;              ///< trained on at run_stop; 0: the log does not say
  bool of_sequences = false;       ///< it has max_sequence_length: a throughput may be in tokens
  std::size_t bad_lines = 0;       ///< ":::MLLOG" lines that hold no JSON
};

/// Throws UserError: the file cannot be read, has no :::MLLOG line, or a number in it that is none.
MllogRun read_mllog(const std::filesystem::path& file);

/// The accelerators of the submission that `file` lies in, by MLPerf's layout: of
/// RESULTS/results/SYSTEM/BENCHMARK/result_0.txt it is RESULTS/systems/SYSTEM.json that says nodes and accelerators of
/// each. 0: there is no such file, or nothing of it in there.
std::int64_t ranks_of_system(const std::filesystem::path& file);

}  // namespace gpumonth::exchange
