#include "base/bucket_plan.h"

#include <algorithm>
#include <stdexcept>

namespace gpumonth {
namespace {

std::int64_t end_of(const Segment& segment) { return segment.offset + segment.count; }

/// Backward walks several regions of the buffer at a time (a block's main weights, all blocks' adaLN
/// weights), so one bucket per region is open.
class Planner {
 public:
  Planner(std::span<const Segment> segments, std::int64_t most) : segments_(segments), most_(most) {}

  std::vector<Bucket> plan() {
    for (std::size_t s = 0; s < segments_.size(); ++s) {
      if (segments_[s].count < 0) throw std::invalid_argument("a gradient segment with a negative size");
      if (segments_[s].count == 0) continue;
      const int segment = static_cast<int>(s);
      append(segments_[s]);
      cut_full(segment);
      // What comes last is not overlapped: before it everything else is sent off.
      const bool second_to_last = s + 2 == segments_.size();
      close_if(segment, [&](const Segment& open) { return second_to_last || !continues_after(open, s); });
    }
    close_if(static_cast<int>(segments_.size()) - 1, [](const Segment&) { return true; });
    return std::move(buckets_);
  }

 private:
  void append(const Segment& segment) {
    const auto before =
        std::find_if(open_.begin(), open_.end(), [&](const Segment& open) { return end_of(open) == segment.offset; });
    if (before == open_.end()) {
      open_.push_back(segment);
    } else {
      before->count += segment.count;
    }
  }

  void cut_full(int segment) {
    for (Segment& open : open_) {
      while (open.count >= most_) {
        buckets_.push_back({{open.offset, most_}, segment});
        open.offset += most_;
        open.count -= most_;
      }
    }
  }

  bool continues_after(const Segment& open, std::size_t segment) const {
    return std::any_of(segments_.begin() + static_cast<std::ptrdiff_t>(segment) + 1, segments_.end(),
                       [&](const Segment& later) { return later.offset == end_of(open); });
  }

  template <class Predicate>
  void close_if(int segment, Predicate close) {
    for (const Segment& open : open_) {
      if (open.count > 0 && close(open)) buckets_.push_back({open, segment});
    }
    std::erase_if(open_, [&](const Segment& open) { return close(open); });
  }

  std::span<const Segment> segments_;
  std::int64_t most_;
  std::vector<Segment> open_;
  std::vector<Bucket> buckets_;
};

}  // namespace

std::vector<Bucket> plan_buckets(std::span<const Segment> segments, std::int64_t bucket_bytes) {
  constexpr std::int64_t kCacheLine = 16;  // floats: two buckets share none
  const std::int64_t most = std::max(kCacheLine, bucket_bytes / std::int64_t{sizeof(float)} / kCacheLine * kCacheLine);
  return Planner(segments, most).plan();
}

}  // namespace gpumonth
