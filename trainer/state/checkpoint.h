// Checkpoints in HDF5 with the reference DiT's parameter names and shapes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "model/parameters.h"
#include "trainer/data/data.h"
#include "trainer/state/state_values.h"

namespace gpumonth::trainer {

/// What a checkpoint says about the run that wrote it. A file from PyTorch may have none of it.
struct CheckpointInfo {
  std::int64_t step = 0;
  std::optional<std::uint64_t> seed;
  std::string config_toml;  ///< the resolved configuration; empty: not said
  DatasetIdentity dataset;  ///< the samples it was trained on
  bool has_ema = false;     ///< on reading: there is a group /ema
};

/// Writes to a temporary file beside `file`, syncs, renames: `file` is whole or absent. `pos_embed` (1, T, h) is
/// written as /model/pos_embed. Every dataset gets a checksum (checkpoint_values.h). Throws UserError (full disk,
/// unwritable folder, values that are not finite or second moments below zero); nothing half-written stays.
void write_checkpoint(const std::filesystem::path& file, const model::ParameterTable& table, StateValues& state,
                      const std::vector<float>& pos_embed, const std::vector<std::int64_t>& pos_embed_shape,
                      const CheckpointInfo& info);
void write_checkpoint(const std::filesystem::path& file, const model::ParameterTable& table, const TrainingState& state,
                      const std::vector<float>& pos_embed, const std::vector<std::int64_t>& pos_embed_shape,
                      const CheckpointInfo& info);
/// What a rank does whose state another one writes, where that is collective (StateValues::fetch).
void take_part_in_writing(const model::ParameterTable& table, StateValues& state);

/// Fills the groups that `state` has. A file with /model alone fills the parameters; asking for more than it has
/// is a UserError, as are a missing, truncated or foreign file, tensors of another shape (first one named), values that
/// are not finite, second moments below zero and, where a dataset has a checksum, another one. `accept` is called once
/// the shapes are known to fit and may throw; until then the state is untouched.
CheckpointInfo read_checkpoint(const std::filesystem::path& file, const model::ParameterTable& table,
                               StateValues& state, const std::function<void(const CheckpointInfo&)>& accept = {});
CheckpointInfo read_checkpoint(const std::filesystem::path& file, const model::ParameterTable& table,
                               const TrainingState& state,
                               const std::function<void(const CheckpointInfo&)>& accept = {});

/// Only the root attributes.
CheckpointInfo read_checkpoint_info(const std::filesystem::path& file);

}  // namespace gpumonth::trainer
