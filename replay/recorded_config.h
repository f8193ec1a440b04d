// What of a log's configuration a replay has to know. Keys that this does not name may be there or not, so logs of other
// versions can be replayed.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include "model/config.h"
#include "model/flops.h"
#include "runlog/record.h"

namespace gpumonth::replay {

struct RecordedConfig {
  model::ModelConfig model;
  std::string name = "run";             ///< run.name
  std::string recompute = "none";       ///< none | linear | full: model/recompute.h
  std::string objective = "diffusion";  ///< diffusion | consistency
  double guidance = 4;                  ///< consistency: of the teacher
  double bucket_mib = 4;                ///< size of a gradient bucket before any cast
  std::string wire = "fp32";            ///< fp32 | bf16: gradients between the ranks
  std::string sharding = "none";        ///< none | optimizer | full, of several ranks
  int shard_group = 0;                  ///< full: consecutive ranks that hold the whole together; 0: all ranks
  int accumulate = 1;                   ///< micro-batches of a step
  int sequence_parallel =
      1;  ///< consecutive ranks that share each sample, or as one of which the recorded rank worked alone

  /// Ranks, of so many, that hold the whole together; 1: each does.
  int shard_ranks(int ranks) const {
    return sharding != "full" ? 1 : shard_group > 0 ? std::min(shard_group, ranks) : ranks;
  }
  /// Passes of a step beside the trained network's own (model/flops.h).
  int more_forwards() const { return objective == "consistency" ? model::distillation_forwards(guidance) : 0; }
};

/// Throws UserError: no [model] in config_toml, or one with another number of parameters than the log says.
RecordedConfig recorded_config(const runlog::Run& run);
/// `config_toml` with the values that `config` has of how ranks communicate: what a log of other buckets, wire or sharding says of
/// itself. Keys that are not there are added, where they are not what a run has without them.
std::string with_communication(const std::string& config_toml, const RecordedConfig& config);

}  // namespace gpumonth::replay
