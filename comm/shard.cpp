#include "comm/shard.h"

#include <algorithm>

namespace gpumonth::comm {

Segment owned_part(const Segment& bucket, int rank, int ranks) {
  const std::int64_t share = share_of(bucket, ranks);
  const std::int64_t rest = rank == ranks - 1 ? rest_of(bucket, ranks).count : 0;
  return {bucket.offset + rank * share, share + rest};
}

std::vector<Segment> merged(std::vector<Segment> segments) {
  std::erase_if(segments, [](const Segment& s) { return s.count == 0; });
  std::sort(segments.begin(), segments.end(), [](const Segment& a, const Segment& b) { return a.offset < b.offset; });
  std::vector<Segment> joined;
  for (const Segment& s : segments) {
    if (!joined.empty() && joined.back().offset + joined.back().count == s.offset) {
      joined.back().count += s.count;
    } else {
      joined.push_back(s);
    }
  }
  return joined;
}

std::vector<Segment> owned_segments(std::span<const Bucket> buckets, int rank, int ranks) {
  std::vector<Segment> parts;
  for (const Bucket& bucket : buckets) parts.push_back(owned_part(bucket.range, rank, ranks));
  return merged(std::move(parts));
}

}  // namespace gpumonth::comm
