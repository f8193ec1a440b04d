// --model and --set of the commands that read a checkpoint: which model it is of.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "cli/commands.h"
#include "model/config.h"

namespace gpumonth::cli {

struct CheckpointModel {
  std::string file;  ///< empty: the configuration in the checkpoint
  std::vector<std::string> overrides;

  void add_to(Command command);
  /// Throws UserError: `checkpoint` carries no configuration and there is no file, or that is wrong.
  model::ModelConfig load(const std::filesystem::path& checkpoint) const;
};

}  // namespace gpumonth::cli
