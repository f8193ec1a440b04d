// The communication thread against exact integer sums, with compute of random length between the segments.
#include <chrono>
#include <random>
#include <thread>

#include "comm/host/host_transport.h"
#include "comm/host/thread_reducer.h"
#include "tests/catch.h"
#include "tests/comm/ranks.h"

using namespace gpumonth::comm;
using gpumonth::tests::ranks;
using gpumonth::tests::transport;

namespace {

std::vector<Segment> make_segments(std::int64_t& size) {
  std::vector<Segment> segments;
  const std::int64_t block = 20000, adaln = 6400;
  const int depth = 5;
  for (int i = 0; i < depth; ++i) {
    segments.push_back({i * block, block});
    segments.push_back({depth * block + i * adaln, adaln});
  }
  segments.push_back({depth * (block + adaln), 1000});
  size = depth * (block + adaln) + 1000;
  return segments;
}

float value(std::int64_t i, int rank, int step) { return static_cast<float>((i + 13 * step) % 251 * (rank + 1)); }

void pause(std::mt19937& random) {
  const auto us = random() % 4 == 0 ? random() % 3000 : random() % 50;
  std::this_thread::sleep_for(std::chrono::microseconds(us));
}

void check_reducer(Transport& transport, std::int64_t bucket_bytes) {
  Communicator& comm = transport.ranks();
  std::int64_t size = 0;
  const std::vector<Segment> segments = make_segments(size);
  const auto gradients = transport.allocate(size);
  ThreadReducer reducer(transport, gradients.get(), segments, bucket_bytes);
  std::mt19937 random(5 + comm.rank());
  const int n = comm.size();
  for (int step = 1; step <= 8; ++step) {
    std::fill_n(gradients.get(), size, -1e30f);  // reducing before ready would show
    reducer.begin_step(step);
    reducer.begin_backward();
    for (std::size_t s = 0; s < segments.size(); ++s) {
      pause(random);
      for (std::int64_t i = segments[s].offset; i < segments[s].offset + segments[s].count; ++i) {
        gradients[i] = value(i, comm.rank(), step);
      }
      reducer.ready(static_cast<int>(s));
    }
    reducer.wait();
    const StepCommunication cost = reducer.finish();
    std::size_t wrong = 0;
    for (std::int64_t i = 0; i < size; ++i) {
      wrong += gradients[i] != static_cast<float>((i + 13 * step) % 251 * (n * (n + 1) / 2));
    }
    REQUIRE(wrong == 0);
    REQUIRE(cost.exposed_s >= 0);
    REQUIRE(reducer.timeline().size() == (n > 1 ? reducer.buckets().size() : 0));
    double before_s = 0;
    for (const BucketTimes& bucket : reducer.timeline()) {
      REQUIRE(bucket.ready_s <= bucket.start_s);
      REQUIRE(before_s <= bucket.start_s);
      REQUIRE(bucket.start_s <= bucket.end_s);
      before_s = bucket.end_s;
    }
  }
}

}  // namespace

TEST_CASE("buckets hold exact sums in shared memory") {
  for (const std::int64_t bucket : {4096, 100000, 1 << 22}) check_reducer(transport(), bucket);
}

TEST_CASE("buckets hold exact sums over MPI messages") {
  MpiTransport over_messages(60, false);
  for (const std::int64_t bucket : {4096, 100000, 1 << 22}) check_reducer(over_messages, bucket);
}

TEST_CASE("the wait for a late rank is exposed") {
  if (ranks().size() == 1) return;  // nothing is waited for
  const auto gradients = transport().allocate(1024);
  ThreadReducer reducer(transport(), gradients.get(), {{0, 1024}}, 4096);
  reducer.begin_step(1);
  reducer.begin_backward();
  const bool late = ranks().rank() == 0;
  if (late) std::this_thread::sleep_for(std::chrono::milliseconds(300));
  reducer.ready(0);
  reducer.wait();
  const StepCommunication cost = reducer.finish();
  if (late) REQUIRE(cost.exposed_s < 0.2);
  if (!late) REQUIRE(cost.exposed_s > 0.25);
  ranks().barrier();
}

TEST_CASE("segments out of order, doubled or missing are refused") {
  std::vector<float> gradients(64);
  ThreadReducer reducer(transport(), gradients.data(), {{0, 16}, {16, 16}, {32, 32}}, 64);
  REQUIRE_THROWS_AS(reducer.ready(0), std::logic_error);  // no step
  reducer.begin_step(1);
  REQUIRE_THROWS_AS(reducer.ready(1), std::logic_error);
  reducer.ready(0);
  REQUIRE_THROWS_AS(reducer.ready(0), std::logic_error);
  REQUIRE_THROWS_AS(reducer.wait(), std::logic_error);
  REQUIRE_THROWS_AS(reducer.begin_step(2), std::logic_error);
  reducer.ready(1);
  reducer.ready(2);
  REQUIRE_THROWS_AS(reducer.ready(3), std::logic_error);
  reducer.wait();
  ranks().barrier();
}

TEST_CASE("ready() costs under 5 us") {
  std::vector<float> gradients(1024);
  std::vector<Segment> segments;
  for (int e = 0; e < 64; ++e) segments.push_back({e * 16, 16});
  ThreadReducer reducer(transport(), gradients.data(), segments, 1 << 20);
  double best_s = 1;
  for (int step = 0; step < 20; ++step) {
    reducer.begin_step(step);
    const auto start = std::chrono::steady_clock::now();
    for (int e = 0; e < 62; ++e) reducer.ready(e);  // none of these completes a bucket
    best_s = std::min(best_s, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / 62);
    reducer.ready(62);
    reducer.ready(63);
    reducer.wait();
  }
  REQUIRE(best_s < 5e-6);
}
