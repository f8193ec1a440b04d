// Repeats: runs of the same model on the same machine, ranks and batch, which tables and figures show as one.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "runlog/record.h"

namespace gpumonth::scaling {

struct RunGroup {
  std::string label;              ///< "dit-s-2, 2 ranks, bf16"; with batch, threads and device where others differ
  std::vector<std::size_t> runs;  ///< places in the list, in its order; never empty
};

/// Of what belongs on one curve (measured_run.h), the same ranks and batch. Every run is in one group.
std::vector<RunGroup> group_runs(const std::vector<runlog::Run>& runs);

/// What each run is called in tables, in the order of the runs that were grouped: its group, and "#2" where
/// that has several.
std::vector<std::string> run_labels(const std::vector<RunGroup>& groups);

/// "dit-s-2, 2 ranks, bf16" for one run, "dit-s-2, 2 ranks, bf16 (3 runs)" for several.
std::string label_with_count(const RunGroup& group);

}  // namespace gpumonth::scaling
