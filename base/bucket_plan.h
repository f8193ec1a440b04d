// A flat buffer of fp32 values that become ready piece by piece, cut into buckets that are sent off one after the other:
// what the trainer does with its gradients, and what a replay or a simulation of it has to do alike.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace gpumonth {

struct Segment {
  std::int64_t offset = 0, count = 0;  ///< elements of the flat gradient buffer
};

struct Bucket {
  Segment range;
  int last_segment = 0;  ///< launched once segments 0 .. last_segment are ready
};

/// Buckets in launch order that cover every segment exactly once. Adjacent segments share a bucket until it
/// holds bucket_bytes; larger segments are split. Only the last segment is left for the tail, so the tail
/// bucket is not the biggest where there is more than one. Segments may alternate between regions of the buffer.
std::vector<Bucket> plan_buckets(std::span<const Segment> segments, std::int64_t bucket_bytes);

}  // namespace gpumonth
