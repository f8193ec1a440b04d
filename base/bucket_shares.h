// A bucket cut into one equal share for each rank: what a sharded optimizer reduces and gathers (comm/shard.h), and what a
// simulation of it sends.
#pragma once

#include <cstdint>

#include "base/bucket_plan.h"

namespace gpumonth {

/// Elements in every rank's share of a bucket; a multiple of 4, 0 for a small bucket.
std::int64_t share_of(const Segment& bucket, int ranks);

/// What is left after `ranks` equal shares; fewer than 5 x ranks elements, at the end of the bucket, the last rank's.
Segment rest_of(const Segment& bucket, int ranks);

}  // namespace gpumonth
