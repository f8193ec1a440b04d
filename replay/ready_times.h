// When, within backward, each segment of the gradients becomes final.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/bucket_plan.h"
#include "replay/recorded_config.h"
#include "runlog/record.h"

namespace gpumonth::replay {

struct ReadyTimes {
  /// By segment: of backward's time, of all micro-batches together, in (0, 1], ascending. Gradients are final in the last one.
  std::vector<double> share;
  std::string source;      ///< "measured, 40 sampled steps of run.h5", or how they were estimated
  bool estimated = false;  ///< no log has bucket times: by the products of backward
};

/// Of share, what it is of the last micro-batch's backward, which is taken to last as long as the others.
std::vector<double> shares_of_last(std::span<const double> share, int micro_batches);

/// A bucket's ready time is that of its last segment. Between two of them, and where no log has any, backward is taken to
/// go on as its FLOPs do (model/gradient_segments.h). Of `logs`, those whose buckets are of another plan than their
/// configuration's (a replay with fewer bytes), and of full sharding, whose backward waits for weights, say nothing.
ReadyTimes ready_times(const std::vector<runlog::Run>& logs, std::span<const Segment> segments);

}  // namespace gpumonth::replay
