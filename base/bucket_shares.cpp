#include "base/bucket_shares.h"

namespace gpumonth {

std::int64_t share_of(const Segment& bucket, int ranks) { return bucket.count / ranks / 4 * 4; }

std::int64_t room_in_shard(std::int64_t count) { return (count + 15) / 16 * 16; }

Segment rest_of(const Segment& bucket, int ranks) {
  const std::int64_t shared = share_of(bucket, ranks) * ranks;
  return {bucket.offset + shared, bucket.count - shared};
}

}  // namespace gpumonth
