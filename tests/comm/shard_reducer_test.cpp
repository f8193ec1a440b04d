// comm.sharding = "full": weights that arrive whole before they are needed and gradients that arrive in shards, with
// compute of random length between; exact integer sums.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <random>
#include <set>
#include <thread>

#include "comm/gradient_reducer.h"
#include "comm/host/host_transport.h"
#include "comm/sharded_storage.h"
#include "tests/catch.h"
#include "tests/comm/ranks.h"

using namespace gpumonth::comm;
using gpumonth::tests::transport;

namespace {

/// Outer segments at both ends, `blocks` of two segments; sizes that leave a rest, and one smaller than the ranks.
std::vector<ShardedSegment> odd_segments(int blocks) {
  std::vector<ShardedSegment> segments;
  std::int64_t flat = 0, end = 0;
  const auto add = [&](std::int64_t count, int unit, std::int64_t at) {
    segments.push_back({{flat, count}, unit, at, false});
    flat += count + 7;  // padding
    end = std::max(end, at + count);
  };
  const std::int64_t outer = 64, room = outer + 2048, second = 10240;
  add(3, kOuterUnit, 0);
  for (int block = blocks - 1; block >= 0; --block) {
    add(10007, block, room + block % 2 * 16384);
    add(640, block, room + block % 2 * 16384 + second);
  }
  add(2011, kOuterUnit, outer);
  return segments;
}

/// A weight's value in a step, and a gradient's on a rank in a pass.
float weight(std::int64_t flat, int step) { return static_cast<float>((flat + 31 * step) % 509); }
float gradient(std::int64_t flat, int rank, int pass, int step) {
  return static_cast<float>((flat + 13 * step + 5 * pass) % 251 * (rank + 1));
}

void random_pause(std::mt19937& random) {
  const auto us = random() % 4 == 0 ? random() % 2000 : random() % 50;
  std::this_thread::sleep_for(std::chrono::microseconds(us));
}

class Training {
 public:
  Training(Transport& over, int blocks, int passes, int group)
      : transport_(over), rank_(over.ranks().rank()), passes_(passes),
        layout_(odd_segments(blocks), rank_ % group, group), random_(static_cast<unsigned>(5 + rank_)),
        weights_(over.allocate(layout_.storage_size())), gradients_(over.allocate(layout_.storage_size())),
        shard_(static_cast<std::size_t>(layout_.size())), sums_(shard_.size(), -1e30f) {
    const ShardedStorage storage{.layout = layout_,
                                 .weights = weights_.get(),
                                 .gradients = gradients_.get(),
                                 .shard = shard_.data(),
                                 .gradient_shard = sums_.data(),
                                 .passes = passes};
    reducer_ = over.make_reducer(gradients_.get(), {}, 0, nullptr, {.full = &storage});
  }

  /// The wrong values that anybody saw.
  std::size_t step(int number) {
    std::size_t wrong = 0;
    const int blocks = layout_.blocks();
    each_owned(
        [&](std::int64_t flat, std::int64_t at) { shard_[static_cast<std::size_t>(at)] = weight(flat, number); });
    reducer_->begin_step(number);
    reducer_->begin_passes();
    for (int pass = 1; pass <= passes_; ++pass) {
      wrong += use(kOuterUnit, number);
      for (int block = 0; block < blocks; ++block) {
        wrong += use(block, number);
        random_pause(random_);
        reducer_->done(block);
      }
      reducer_->begin_backward();
      for (std::size_t s = 0; s < layout_.segments().size(); ++s) {
        const int unit = layout_.segments()[s].unit;
        const bool begins = s > 0 && unit != kOuterUnit && unit != layout_.segments()[s - 1].unit;
        if (begins) wrong += use(unit, number);
        random_pause(random_);
        write_gradients(s, pass, number);
        reducer_->ready(static_cast<int>(s));
        if (unit != kOuterUnit && layout_.segments()[s + 1].unit != unit) reducer_->done(unit);
      }
    }
    reducer_->wait();
    cost_ = reducer_->finish();
    return wrong + wrong_sums(number);
  }

  const StepCommunication& cost() const { return cost_; }
  GradientReducer& reducer() { return *reducer_; }
  const ShardLayout& layout() const { return layout_; }

 private:
  template <class F>
  void each_owned(F&& f) const {
    for (std::size_t s = 0; s < layout_.segments().size(); ++s) {
      const Segment part = layout_.owned(s);
      for (std::int64_t i = 0; i < part.count; ++i)
        f(layout_.segments()[s].flat.offset + part.offset + i, layout_.shard_at(s) + i);
    }
  }

  std::size_t use(int unit, int number) {
    reducer_->need(unit);
    std::size_t wrong = 0;
    for (const ShardedSegment& s : layout_.segments()) {
      if (s.unit != unit) continue;
      for (std::int64_t i = 0; i < s.flat.count; ++i) wrong += weights_[s.at + i] != weight(s.flat.offset + i, number);
    }
    return wrong;
  }

  void write_gradients(std::size_t s, int pass, int number) {
    const ShardedSegment& segment = layout_.segments()[s];
    for (std::int64_t i = 0; i < segment.flat.count; ++i)
      gradients_[segment.at + i] = gradient(segment.flat.offset + i, rank_, pass, number);
  }

  std::size_t wrong_sums(int number) const {
    std::size_t wrong = 0;
    each_owned([&](std::int64_t flat, std::int64_t at) {
      float sum = 0;
      for (int pass = 1; pass <= passes_; ++pass)
        for (int rank = 0; rank < transport_.ranks().size(); ++rank) sum += gradient(flat, rank, pass, number);
      wrong += sums_[static_cast<std::size_t>(at)] != sum;
    });
    return wrong;
  }

  Transport& transport_;
  int rank_, passes_;
  ShardLayout layout_;
  std::mt19937 random_;
  std::shared_ptr<float[]> weights_, gradients_;
  std::vector<float> shard_, sums_;
  std::unique_ptr<GradientReducer> reducer_;
  StepCommunication cost_;
};

void check_training(Transport& over, int blocks, int passes, int group) {
  INFO(blocks << " blocks, " << passes << " passes, groups of " << group);
  Training training(over, blocks, passes, group);
  for (int step = 1; step <= 6; ++step) REQUIRE(training.step(step) == 0);
  REQUIRE(training.cost().weights.has_value());
  CHECK(training.cost().weights->inside_s > 0);
  CHECK(training.reducer().timeline().size() == training.layout().segments().size());
}

}  // namespace

TEST_CASE("weights come whole before they are used, gradients leave for their shards") {
  const int ranks = transport().ranks().size();
  for (const int blocks : {1, 2, 5})
    for (const int passes : {1, 3}) check_training(transport(), blocks, passes, ranks);
}

TEST_CASE("so they do over messages, and in groups whose shards are summed") {
  MpiTransport messages(60, false);
  const int ranks = messages.ranks().size();
  check_training(messages, 4, 2, ranks);
  if (ranks % 2 != 0) return;
  check_training(messages, 3, 2, ranks / 2);
  check_training(transport(), 4, 1, 2);
}

TEST_CASE("a rank says what it sends") {
  const int ranks = transport().ranks().size();
  Training training(transport(), 5, 1, ranks);
  training.step(1);
  double outer = 4 * (3 + 2011), block = 4 * (10007 + 640);
  // five blocks forward, three of them again in backward; gradients once
  CHECK(training.cost().weights->gathered_bytes == Approx((outer + 8 * block) * (ranks - 1) / ranks).margin(1e-9));
  CHECK(training.cost().weights->reduced_bytes == Approx((outer + 5 * block) * (ranks - 1) / ranks).margin(1e-9));
}

TEST_CASE("every element has one owner, and a place in its shard") {
  for (const int ranks : {1, 2, 3, 8}) {
    std::set<std::int64_t> owned;
    for (int rank = 0; rank < ranks; ++rank) {
      const ShardLayout layout(odd_segments(3), rank, ranks);
      std::int64_t end = 0;
      for (std::size_t s = 0; s < layout.segments().size(); ++s) {
        const Segment part = layout.owned(s);
        CHECK(layout.shard_at(s) >= end);
        CHECK(layout.shard_at(s) % 16 == 0);
        end = layout.shard_at(s) + part.count;
        for (std::int64_t i = 0; i < part.count; ++i)
          CHECK(owned.insert(layout.segments()[s].flat.offset + part.offset + i).second);
        CHECK(layout.segment_with(layout.segments()[s].flat.offset) == s);
      }
      CHECK(end <= layout.size());
      CHECK(layout.size() <= layout.largest_size());
      CHECK_THROWS_AS(layout.segment_with(3), std::out_of_range);  // padding
    }
    CHECK(owned.size() == 3 + 2011 + 3 * (10007 + 640));
  }
}

TEST_CASE("a call out of order is refused") {
  Training training(transport(), 2, 1, transport().ranks().size());
  CHECK_THROWS_AS(training.reducer().need(0), std::logic_error);
  CHECK_THROWS_AS(training.reducer().wait(), std::logic_error);
  training.reducer().begin_step(1);
  CHECK_THROWS_AS(training.reducer().ready(1), std::logic_error);
  CHECK_THROWS_AS(training.reducer().begin_step(2), std::logic_error);
}

TEST_CASE("what is gathered when") {
  GatherOrder order(4);
  order.begin_step();
  CHECK(order.begin_forward() == std::vector{kOuterUnit, 0, 1});
  CHECK(order.after(0) == 2);
  CHECK(order.after(1) == 3);
  CHECK(order.after(2) == GatherOrder::kNone);
  CHECK(order.after(3) == GatherOrder::kNone);
  order.begin_backward();
  CHECK(order.after(3) == 1);
  CHECK(order.after(2) == 0);
  CHECK(order.after(1) == GatherOrder::kNone);
  CHECK(order.after(0) == GatherOrder::kNone);
  CHECK(order.begin_forward().empty());  // another pass: all are there
  order.begin_step();
  CHECK(order.begin_forward().size() == 3);
}
