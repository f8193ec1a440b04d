// Checkpoints in HDF5 with the reference DiT's parameter names and shapes (DESIGN.md, "Checkpoint").
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "model/parameters.h"

namespace gpumonth::trainer {

/// Host pointers to the flat buffers of a ParameterTable; null where absent.
struct TrainingState {
  float* parameters = nullptr;
  float* ema = nullptr;
  float* exp_avg = nullptr;
  float* exp_avg_sq = nullptr;
};

struct CheckpointInfo {
  std::int64_t step = 0;
  std::uint64_t seed = 0;
  std::string config_toml;
};

/// Writes to a temporary file beside `file`, syncs, renames: `file` is whole or absent. `pos_embed` (1, T, h) is
/// written as /model/pos_embed. Throws UserError (full disk, unwritable folder); nothing half-written stays.
void write_checkpoint(const std::filesystem::path& file, const model::ParameterTable& table,
                      const TrainingState& state, const std::vector<float>& pos_embed,
                      const std::vector<std::int64_t>& pos_embed_shape, const CheckpointInfo& info);

/// Fills the non-null buffers of `state`. A file with /model alone fills `parameters`; asking for more than it has
/// is a UserError, as are a missing, truncated or foreign file and tensors of another shape (first one named).
CheckpointInfo read_checkpoint(const std::filesystem::path& file, const model::ParameterTable& table,
                               const TrainingState& state);

/// Only the root attributes.
CheckpointInfo read_checkpoint_info(const std::filesystem::path& file);

}  // namespace gpumonth::trainer
