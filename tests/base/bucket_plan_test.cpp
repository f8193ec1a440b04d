#include "base/bucket_plan.h"

#include <algorithm>
#include <numeric>
#include <random>

#include "tests/catch.h"

using namespace gpumonth;

namespace {

/// What every plan must hold: each element once, launched only when its segment has come, in launch order.
void check_plan(const std::vector<Segment>& segments, const std::vector<Bucket>& plan, std::int64_t bucket_bytes) {
  std::int64_t size = 0;
  for (const Segment& s : segments) size = std::max(size, s.offset + s.count);
  std::vector<int> segment_of(size, -1), covered(size, 0);
  for (std::size_t s = 0; s < segments.size(); ++s) {
    for (std::int64_t i = 0; i < segments[s].count; ++i) segment_of[segments[s].offset + i] = static_cast<int>(s);
  }
  int last = 0;
  for (const Bucket& bucket : plan) {
    REQUIRE(bucket.last_segment >= last);
    last = bucket.last_segment;
    REQUIRE(bucket.range.count > 0);
    REQUIRE(bucket.range.count * 4 <= bucket_bytes);
    for (std::int64_t i = bucket.range.offset; i < bucket.range.offset + bucket.range.count; ++i) {
      REQUIRE(segment_of[i] >= 0);
      REQUIRE(segment_of[i] <= bucket.last_segment);
      ++covered[i];
    }
  }
  for (std::int64_t i = 0; i < size; ++i) REQUIRE(covered[i] == (segment_of[i] >= 0 ? 1 : 0));
}

/// The DiT's backward: final layer, then per block the main weights and the adaLN weights of another region,
/// then the embedders.
std::vector<Segment> dit_segments(int depth, std::int64_t block, std::int64_t adaln, std::int64_t embedders) {
  std::vector<Segment> segments = {{0, 512}};
  const std::int64_t adaln_region = 512 + depth * block;
  for (int i = 0; i < depth; ++i) {
    segments.push_back({512 + i * block, block});
    segments.push_back({adaln_region + i * adaln, adaln});
  }
  segments.push_back({adaln_region + depth * adaln, embedders});
  return segments;
}

}  // namespace

TEST_CASE("adjacent segments share a bucket until it is full") {
  const std::vector<Segment> segments = {{0, 256}, {256, 256}, {512, 256}, {768, 256}, {1024, 64}};
  const auto plan = plan_buckets(segments, 512 * 4);
  check_plan(segments, plan, 512 * 4);
  REQUIRE(plan.size() == 3);
  REQUIRE(plan[0].last_segment == 1);
  REQUIRE(plan[1].last_segment == 3);
  REQUIRE(plan[2].range.count == 64);
}

TEST_CASE("a large segment is split") {
  const std::vector<Segment> segments = {{0, 10000}, {10000, 16}};
  const auto plan = plan_buckets(segments, 4096);
  check_plan(segments, plan, 4096);
  REQUIRE(plan.size() == 11);
}

TEST_CASE("segments that alternate between two regions fill one bucket per region") {
  const auto segments = dit_segments(12, 768, 512, 100);
  const auto plan = plan_buckets(segments, 4 * 2048);
  check_plan(segments, plan, 4 * 2048);
  // (512 + 12*768) / 2048 = 4.75 and 12*512 / 2048 = 3 buckets, and the tail
  REQUIRE(plan.size() == 5 + 3 + 1);
}

TEST_CASE("the tail is the last segment alone") {
  for (const std::int64_t bucket : {1024, 4096, 65536, 1 << 20}) {
    const auto segments = dit_segments(6, 5000, 3000, 200);
    const auto plan = plan_buckets(segments, bucket);
    check_plan(segments, plan, bucket);
    std::int64_t tail = 0;
    for (const Bucket& b : plan) tail += b.last_segment == static_cast<int>(segments.size()) - 1 ? b.range.count : 0;
    REQUIRE(tail == 200);
    const auto biggest = std::max_element(
        plan.begin(), plan.end(), [](const Bucket& a, const Bucket& b) { return a.range.count < b.range.count; });
    REQUIRE(plan.back().range.count < biggest->range.count);
  }
}

TEST_CASE("any order of segments is covered once") {
  std::mt19937 random(7);
  for (int repeat = 0; repeat < 200; ++repeat) {
    std::vector<Segment> segments;
    std::int64_t at = 0;
    for (int e = 0; e < 20; ++e) {
      const std::int64_t count = static_cast<std::int64_t>(random() % 500);  // 0 too
      segments.push_back({at, count});
      at += count + (random() % 3 == 0 ? 64 : 0);  // padding between some
    }
    std::shuffle(segments.begin(), segments.end(), random);
    const std::int64_t bucket = 64 << random() % 8;
    check_plan(segments, plan_buckets(segments, bucket), bucket);
  }
}

TEST_CASE("no segments give no buckets") { REQUIRE(plan_buckets({}, 4096).empty()); }
