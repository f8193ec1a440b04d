#include "base/bucket_shares.h"

namespace gpumonth {

std::int64_t share_of(const Segment& bucket, int ranks) { return bucket.count / ranks / 4 * 4; }

Segment rest_of(const Segment& bucket, int ranks) {
  const std::int64_t shared = share_of(bucket, ranks) * ranks;
  return {bucket.offset + shared, bucket.count - shared};
}

}  // namespace gpumonth
