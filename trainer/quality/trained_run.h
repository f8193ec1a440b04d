// What a checkpoint says of its training, for who compares checkpoints.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "trainer/run_config.h"
#include "trainer/state/checkpoint.h"

namespace gpumonth::trainer {

struct TrainedRun {
  std::filesystem::path checkpoint;
  CheckpointInfo info;
  RunConfig config;        ///< of the run that wrote it
  std::string model_name;  ///< file stem of the model, "dit-s-2"; "inline" where there was no file

  bool procedural() const { return config.data.path.empty(); }  ///< the set that it was trained on
  std::int64_t samples_seen() const { return info.step * config.batch.global; }
  std::int64_t tokens_seen() const { return samples_seen() * config.model.tokens(); }
  double model_flops() const;  ///< of the training so far, steps x model::step_work
};

/// UserError: no checkpoint, or one that carries no configuration.
TrainedRun read_trained_run(const std::filesystem::path& checkpoint);

}  // namespace gpumonth::trainer
