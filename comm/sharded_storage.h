// comm.sharding = "full": parameters, gradients and optimizer state by shards (ZeRO stage 3, Rajbhandari et al. 2020; FSDP,
// Zhao et al. 2023). A rank holds its part of every segment (shard.h), all parts in one dense array, the shard; and room
// for the whole of a few segments, the storage, in which weights are gathered before they are used and gradients lie
// until they are reduced:
//
// A unit is what is gathered at once: a block, or the outer unit, which is everything that belongs to no block and stays
// whole from the step's start to its end. Block l has the room of all blocks l % 2, so that its place never changes and the
// next block's weights travel while this one computes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/bucket_plan.h"
#include "base/bucket_shares.h"

namespace gpumonth::comm {

constexpr int kOuterUnit = -1;  ///< units are blocks 0, 1 ..., and this one
using gpumonth::kBlockSlots;
/// Where a unit's weights are gathered: slots 0 to kBlockSlots - 1 are the blocks', the last is the outer unit's.
constexpr std::size_t slot_of(int unit) {
  return static_cast<std::size_t>(unit == kOuterUnit ? kBlockSlots : unit % kBlockSlots);
}

/// A segment of the flat gradients (gradient_reducer.h), and where it lies while it is whole.
struct ShardedSegment {
  Segment flat;           ///< in the flat table
  int unit = kOuterUnit;  ///< what it is gathered with
  std::int64_t at = 0;    ///< first element in the storage, of weights and of gradients
  bool typed = false;     ///< its weights are read, and so travel, in the compute type where that is not fp32
};

/// Who holds what: arithmetic alone.
class ShardLayout {
 public:
  /// `segments` in the order in which backward finishes them, every one a bucket of its own.
  ShardLayout(std::vector<ShardedSegment> segments, int rank, int ranks);

  int rank() const { return rank_; }
  int ranks() const { return ranks_; }
  int blocks() const { return blocks_; }
  const std::vector<ShardedSegment>& segments() const { return segments_; }
  /// In the storage.
  Segment placed(std::size_t segment) const { return {segments_[segment].at, segments_[segment].flat.count}; }
  /// The part of a segment that `rank` holds, in elements of the segment; and where it begins in that rank's shard, at a
  /// multiple of 64 bytes in fp32. The elements between parts are zero for ever.
  Segment owned(std::size_t segment, int rank) const;
  Segment owned(std::size_t segment) const { return owned(segment, rank_); }
  std::int64_t shard_at(std::size_t segment) const { return shard_at_[segment]; }
  std::int64_t size() const { return size_; }                  ///< elements of this rank's shard
  std::int64_t largest_size() const { return largest_size_; }  ///< of any rank's
  std::int64_t storage_size() const { return storage_size_; }  ///< elements up to the end of the last segment
  /// Each segment as the bucket that it is, in the flat table; and this rank's parts of all of them there, as
  /// GradientReducer::owned().
  std::vector<gpumonth::Bucket> buckets() const;
  std::vector<Segment> owned() const;
  /// The segment with flat element `at`. std::out_of_range: padding.
  std::size_t segment_with(std::int64_t at) const;

 private:
  std::vector<ShardedSegment> segments_;
  int rank_, ranks_, blocks_ = 0;
  std::vector<std::int64_t> shard_at_;  // by segment
  std::int64_t size_ = 0, largest_size_ = 0, storage_size_ = 0;
};

/// What a reducer works on: memory of the step, valid as long as the reducer.
struct ShardedStorage {
  ShardLayout layout;
  // the storage, from Transport::allocate
  float* weights = nullptr;  ///< segments that are not typed, or all where typed_weights is null
  float* gradients = nullptr;
  void* typed_weights = nullptr;  ///< bf16, such that element `at` of the storage is its element `at`; null: fp32 alone
  // the shard
  const float* shard = nullptr;
  const void* typed_shard = nullptr;  ///< bf16, with typed_weights
  float* gradient_shard = nullptr;    ///< after wait(): the sums
  int passes = 1;                     ///< forward and backward passes of a step, whose gradients are summed

  /// "rank 0 of every 4 holds 25.3 MiB of parameters, gradients, moments and EMA, and 8.1 MiB of room for ..."
  std::string description() const;
};

/// Which units are gathered when: one block ahead of the one that is worked on, as soon as its slot is free. It follows
/// from the order of the calls alone, which is the same on every rank.
class GatherOrder {
 public:
  static constexpr int kNone = -2;
  explicit GatherOrder(int blocks) : blocks_(blocks) {}
  /// The weights are others than before.
  void begin_step();
  /// A forward pass begins: the units to gather now, in order. Those that the last pass left are still there.
  std::vector<int> begin_forward();
  void begin_backward() { step_ = -kBlockSlots; }
  /// A block's weights are no more needed in this pass: the block to gather in its place, or kNone.
  int after(int block);
  bool backward() const { return step_ < 0; }

 private:
  int blocks_, step_ = kBlockSlots;
  bool outer_ = false;  // is there
  int in_slot_[kBlockSlots] = {kNone, kNone};
};

/// Bytes that a rank sends, and receives, in a collective of equal parts that makes `bytes` out of shares, or the reverse.
constexpr double sent_bytes(double bytes, int ranks) { return bytes * (ranks - 1) / ranks; }

}  // namespace gpumonth::comm
