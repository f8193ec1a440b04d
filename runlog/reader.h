#pragma once

#include <filesystem>

#include "runlog/record.h"

namespace gpumonth::runlog {

/// Whose steps a caller can read.
enum class Kind {
  training,
  shares_too,  ///< of training, or of one rank's share of it: RunInfo::sequence_share says which
  any          ///< of training or of sampling: RunInfo::sampling says which
};

/// Reads a run log, finished, still growing, or left by a killed process. Columns of unequal length (the
/// writer died between them) are cut to the shortest. Throws UserError: missing, not HDF5, not a run log,
/// another schema version, a log of sampling or of one rank's share where those of whole trainings are asked for, a number outside the range that runlog/schema.cpp declares for it (names file, column and
/// step), steps or start times that go backwards. So whoever gets a Run divides by its times without looking again.
Run read(const std::filesystem::path& file, Kind kind = Kind::training);

}  // namespace gpumonth::runlog
