#include "comm/sharded_storage.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "comm/shard.h"

namespace gpumonth::comm {
ShardLayout::ShardLayout(std::vector<ShardedSegment> segments, int rank, int ranks)
    : segments_(std::move(segments)), rank_(rank), ranks_(ranks) {
  for (std::size_t s = 0; s < segments_.size(); ++s) {
    blocks_ = std::max(blocks_, segments_[s].unit + 1);
    storage_size_ = std::max(storage_size_, segments_[s].at + segments_[s].flat.count);
    shard_at_.push_back(size_);
    size_ += room_in_shard(owned(s).count);
    largest_size_ += room_in_shard(owned(s, ranks - 1).count);  // the last rank's are never smaller
  }
}

Segment ShardLayout::owned(std::size_t segment, int rank) const {
  return owned_part({0, segments_[segment].flat.count}, rank, ranks_);
}

std::vector<Bucket> ShardLayout::buckets() const {
  std::vector<Bucket> all;
  for (const ShardedSegment& s : segments_) all.push_back({s.flat, static_cast<int>(all.size())});
  return all;
}

std::vector<Segment> ShardLayout::owned() const { return owned_segments(buckets(), rank_, ranks_); }

std::size_t ShardLayout::segment_with(std::int64_t at) const {
  for (std::size_t s = 0; s < segments_.size(); ++s) {
    const Segment& flat = segments_[s].flat;
    if (at >= flat.offset && at < flat.offset + flat.count) return s;
  }
  throw std::out_of_range("an element of no segment");
}

std::string ShardedStorage::description() const {
  constexpr double kMiB = 1 << 20;
  double weight_bytes = 0;
  for (const ShardedSegment& s : layout.segments())
    if (s.unit < kBlockSlots) weight_bytes += static_cast<double>(s.flat.count) * (s.typed && typed_weights ? 2 : 4);
  const double of_value = 5 * 4 + (typed_weights ? 2 : 0);  // parameter, gradient, two moments, EMA
  return fmt::format(
      "rank {} of every {} holds {:.1f} MiB of parameters, gradients, moments and EMA, and {:.1f} MiB of room for weights and "
      "gradients on their way",
      layout.rank(), layout.ranks(), of_value * static_cast<double>(layout.size()) / kMiB,
      (weight_bytes + 4 * static_cast<double>(layout.storage_size())) / kMiB);
}

void GatherOrder::begin_step() {
  outer_ = false;
  std::fill_n(in_slot_, kBlockSlots, kNone);
}

std::vector<int> GatherOrder::begin_forward() {
  step_ = kBlockSlots;
  std::vector<int> units;
  if (!outer_) units.push_back(kOuterUnit);
  outer_ = true;
  for (int block = 0; block < std::min(kBlockSlots, blocks_); ++block) {
    if (in_slot_[block] == block) continue;
    in_slot_[block] = block;
    units.push_back(block);
  }
  return units;
}

int GatherOrder::after(int block) {
  const int next = block + step_;
  if (next < 0 || next >= blocks_) return kNone;
  in_slot_[block % kBlockSlots] = next;
  return next;
}

}  // namespace gpumonth::comm
