#pragma once

#include <filesystem>

#include "runlog/record.h"

namespace gpumonth::runlog {

/// Reads a run log, finished, still growing, or left by a killed process. Columns of unequal length (the
/// writer died between them) are cut to the shortest. Throws UserError: missing, not HDF5, not a run log,
/// another schema version.
Run read(const std::filesystem::path& file);

}  // namespace gpumonth::runlog
