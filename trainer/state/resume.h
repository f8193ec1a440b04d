// What a run that goes on from a checkpoint must have in common with the one that wrote it. Every key of the
// configuration is in one table: what makes another network, or other samples and noise of the same seed, is refused,
// what changes the meaning of a step is said, the rest is free.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "trainer/state/checkpoint.h"

namespace gpumonth::trainer {

enum class Difference { refused, said, free };

struct KeyRule {
  const char* key;  ///< "model.num_heads"
  Difference difference;
  const char* reason;  ///< why to set the checkpoint's value, or what is different; empty where it is free
};

/// Every key that run_config.h declares.
std::span<const KeyRule> resume_rules();

/// The run that goes on.
struct ResumingRun {
  std::string config_toml;  ///< resolved
  DatasetIdentity dataset;
};

/// One line for each difference that is only said, with the samples that a change of batch or dataset leaves out or
/// repeats. UserError for one that is refused. `file` names the checkpoint; keys that its configuration does not have
/// are not compared.
std::vector<std::string> compare_with_checkpoint(const std::string& file, const CheckpointInfo& checkpoint,
                                                 const ResumingRun& run);

/// The same for a model that is given beside a checkpoint, whose resolution may be another. UserError where its weights
/// would be taken for those of another network; `whose` is who has the model.
void compare_model(const std::string& file, const CheckpointInfo& checkpoint, const model::ModelConfig& model,
                   const char* whose = "--model has");

/// Whether it maps noise to samples in few steps (objective.kind = "consistency"); a file that does not say does not.
bool is_consistency_model(const std::string& file, const CheckpointInfo& checkpoint);

}  // namespace gpumonth::trainer
