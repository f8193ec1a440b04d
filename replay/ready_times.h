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
  std::vector<double> share;  ///< by segment: of backward's time, in (0, 1], ascending
  std::string source;         ///< "measured, 40 sampled steps of run.h5", or how they were estimated
  bool estimated = false;     ///< no log has bucket times: by the products of backward
};

/// A bucket's ready time is that of its last segment. Between two of them, and where no log has any, backward is taken to
/// go on as its FLOPs do (model/gradient_segments.h). Of `logs`, those whose buckets are of another plan than their
/// configuration's (a replay with fewer bytes) say nothing.
ReadyTimes ready_times(const std::vector<runlog::Run>& logs, std::span<const Segment> segments);

}  // namespace gpumonth::replay
