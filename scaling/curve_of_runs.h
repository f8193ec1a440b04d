// A scaling curve from run logs: one point per log, its throughput over all its steady steps (runlog/summary.h).
#pragma once

#include <string>
#include <vector>

#include "runlog/record.h"
#include "runlog/summary.h"
#include "scaling/curve.h"

namespace gpumonth::scaling {

/// The point of one run with steady steps on `ranks` ranks; `path` names it.
ScalingPoint point_of(const runlog::Summary& summary, int ranks, const std::string& path);

/// Logs without steady steps are left out with a note. Throws UserError where none is left, and where logs do
/// not belong on one curve: another model or shape of its samples, compute type, backend, device, or number of threads
/// per rank (measured_run.h).
ScalingCurve curve_of_runs(const std::vector<runlog::Run>& runs);

}  // namespace gpumonth::scaling
