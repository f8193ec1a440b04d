// A bucket cut into one equal share for each rank: what sharded training reduces and gathers (comm/shard.h,
// comm/sharded_storage.h), and what a plan or a simulation of it counts.
#pragma once

#include <cstdint>

#include "base/bucket_plan.h"

namespace gpumonth {

/// Elements in every rank's share of a bucket; a multiple of 4, 0 for a small bucket.
std::int64_t share_of(const Segment& bucket, int ranks);

/// Elements that a part of `count` takes in a rank's dense shard of everything (comm.sharding = "full"): a multiple of 64 bytes
/// in fp32.
std::int64_t room_in_shard(std::int64_t count);

/// Blocks whose weights are whole at a time with comm.sharding = "full": the one at work, and the next on its way.
constexpr int kBlockSlots = 2;

/// What is left after `ranks` equal shares; fewer than 5 x ranks elements, at the end of the bucket, the last rank's.
Segment rest_of(const Segment& bucket, int ranks);

}  // namespace gpumonth
