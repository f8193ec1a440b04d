// A scaling curve from run logs: one point per log, its throughput over all its steady steps (runlog/summary.h).
#pragma once

#include <string>
#include <vector>

#include "runlog/record.h"
#include "runlog/summary.h"
#include "scaling/curve.h"
#include "scaling/run_kinds.h"

namespace gpumonth::scaling {

/// The point of one run with steady steps.
ScalingPoint point_of(const runlog::Summary& summary, const PlacedRun& run);

/// Those that count: of the same ranks and batch the best kind (run_kinds.h). Logs without steady steps stay.
std::vector<const runlog::Run*> runs_that_count(const std::vector<runlog::Run>& runs);

/// Logs without steady steps are left out with a note, and so are those that do not count. Throws UserError where none is left, and where logs do
/// not belong on one curve: another model or shape of its samples, compute type, backend, device, or number of threads
/// per rank (measured_run.h).
ScalingCurve curve_of_runs(const std::vector<runlog::Run>& runs);

}  // namespace gpumonth::scaling
