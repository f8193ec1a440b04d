// Optimizer sharding: which part of each gradient bucket a rank holds and updates.
//
// Every bucket is cut into one equal share per rank, so that a reduce-scatter leaves each rank its sums and
// an all-gather brings the updated parameters back (ZeRO stage 1 with bucketed gradients: Rajbhandari et al.
// 2020, section 5). Shares are whole multiples of 16 bytes, which collectives move best; the few values left
// over belong to the last rank.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/bucket_shares.h"
#include "comm/gradient_reducer.h"

namespace gpumonth::comm {

using gpumonth::share_of, gpumonth::rest_of;

/// The part of the bucket that `rank` owns: its share, and for the last rank the rest behind it.
Segment owned_part(const Segment& bucket, int rank, int ranks);

/// Adjacent segments joined, sorted by offset, empty ones dropped.
std::vector<Segment> merged(std::vector<Segment> segments);

/// merged(owned_part of every bucket).
std::vector<Segment> owned_segments(std::span<const Bucket> buckets, int rank, int ranks);

}  // namespace gpumonth::comm
