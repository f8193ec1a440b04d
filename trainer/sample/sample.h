// `gpumonth sample`: samples from a checkpoint, their contact sheet, and what they cost.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "comm/transport.h"
#include "model/config.h"
#include "trainer/sample/schedule.h"
#include "trainer/trained_network.h"

namespace gpumonth::trainer {

struct SampleOptions : NetworkOptions {
  std::filesystem::path checkpoint;
  std::string directory = "runs/sample-{ranks}ranks";  ///< as run.directory
  std::int64_t count = 16;
  std::string labels;  ///< sample_labels()
  Sampler sampler = Sampler::ddpm;
  int steps = 250;
  double guidance = 4;  ///< 1: none
  std::uint64_t seed = 1;
  bool sheet = true;
  bool measure_gemm_peak = true;  ///< as log.measure_gemm_peak
};

struct SampleResult {
  std::filesystem::path samples, sheet, run_log;  ///< written by rank 0; sheet is empty where none was wanted
  double wall_s = 0;                              ///< from the first step to the last sample
};

/// Collective. Writes samples.h5, samples.png and run.h5 into the folder. UserError: outputs that exist, a bad or
/// mismatched checkpoint, one without the weights asked for, a consistency model and a sampler that is not for it or the
/// reverse, a model of images for a checkpoint of video or the reverse,
/// options out of range, guidance without a null label, a sheet without libpng, samples that are not finite.
SampleResult sample(const model::ModelConfig& model, const SampleOptions& options, comm::Transport& transport);

}  // namespace gpumonth::trainer
