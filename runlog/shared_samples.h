// What a log says of ranks that share samples (run.sequence_parallel), in words.
#pragma once

#include <string>

#include "runlog/record.h"

namespace gpumonth::runlog {

/// "2 ranks share each sample: all-to-alls between them are 1.24 of 31.0 ms of forward and backward (4.0 %), 12.6 MB sent by
/// each"; of one rank's share "one of 8 ranks' share of each sample, without the others: ..."; empty where neither is so.
/// Means over steady steps.
std::string shared_samples_text(const Run& run);

}  // namespace gpumonth::runlog
