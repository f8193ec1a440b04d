// Optimizer sharding: every element has one owner, and a sharded step with gather() gives every rank what an
// unsharded one gives, bit for bit.
#include "comm/shard.h"

#include <algorithm>
#include <cstring>
#include <random>

#include "base/error.h"
#include "comm/host/host_transport.h"
#include "comm/host/thread_reducer.h"
#include "tests/catch.h"
#include "tests/comm/ranks.h"

using namespace gpumonth::comm;
using gpumonth::tests::ranks;
using gpumonth::tests::transport;

namespace {

/// Sizes that leave a rest on 2, 3 and 4 ranks, one smaller than the number of ranks, and padding between some.
std::vector<Segment> odd_segments(std::int64_t& size) {
  std::vector<Segment> segments;
  std::int64_t at = 0;
  for (const std::int64_t count : {10007, 3, 4096, 1, 20011, 640}) {
    segments.push_back({at, count});
    at += count + (count % 2 == 0 ? 32 : 0);
  }
  size = at;
  return segments;
}

bool inside(const std::vector<Segment>& segments, std::int64_t i) {
  return std::any_of(segments.begin(), segments.end(),
                     [i](const Segment& s) { return i >= s.offset && i < s.offset + s.count; });
}

/// One step; the reduced gradients.
void reduce(GradientReducer& reducer, const std::vector<Segment>& segments, float* gradients, std::int64_t size,
            int rank) {
  std::mt19937 random(100 + rank);
  std::uniform_real_distribution<float> any(-1, 1);
  for (std::int64_t i = 0; i < size; ++i) gradients[i] = any(random);
  reducer.begin_step(1);
  reducer.begin_backward();
  for (std::size_t s = 0; s < segments.size(); ++s) reducer.ready(static_cast<int>(s));
  reducer.wait();
}

void check_sharding(Transport& transport, std::int64_t bucket_bytes) {
  Communicator& comm = transport.ranks();
  std::int64_t size = 0;
  const std::vector<Segment> segments = odd_segments(size);
  const auto plain = transport.allocate(size), sharded = transport.allocate(size);
  {
    const auto reducer = transport.make_reducer(plain.get(), segments, bucket_bytes, nullptr);
    reduce(*reducer, segments, plain.get(), size, comm.rank());
    REQUIRE(reducer->owned().size() == merged(segments).size());
    reducer->gather(plain.get());  // nothing to gather
    reducer->finish();
  }
  const auto reducer =
      transport.make_reducer(sharded.get(), segments, bucket_bytes, nullptr, {.shard_optimizer = true});
  reduce(*reducer, segments, sharded.get(), size, comm.rank());
  // an update that differs from rank to rank outside of what it owns
  std::vector<float> parameters(static_cast<std::size_t>(size), -0.0f);
  for (std::int64_t i = 0; i < size; ++i) {
    if (inside(reducer->owned(), i))
      parameters[i] = sharded[i];
    else if (inside(segments, i))
      parameters[i] = 1e30f * static_cast<float>(comm.rank() + 1);
  }
  reducer->gather(parameters.data());
  const StepCommunication cost = reducer->finish();
  std::size_t wrong = 0;
  for (std::int64_t i = 0; i < size; ++i) {
    const float expected = inside(segments, i) ? plain[i] : -0.0f;  // bits: what no segment covers is left alone
    wrong += std::memcmp(&parameters[i], &expected, sizeof expected) != 0;
  }
  INFO(comm.description() << ", buckets of " << bucket_bytes << " bytes");
  REQUIRE(wrong == 0);
  if (comm.size() > 1) REQUIRE(cost.gather_s > 0);
}

}  // namespace

TEST_CASE("shares cover a bucket once, aligned, the rest with the last rank") {
  for (const int ranks : {1, 2, 3, 4, 8, 512}) {
    for (const std::int64_t count : {1, 3, 16, 1000, 4096, 1000003}) {
      const Segment bucket{640, count};
      std::int64_t at = bucket.offset;
      for (int r = 0; r < ranks; ++r) {
        const Segment part = owned_part(bucket, r, ranks);
        REQUIRE(part.offset == at);
        if (r < ranks - 1) REQUIRE(part.count == share_of(bucket, ranks));
        at += part.count;
      }
      REQUIRE(at == bucket.offset + count);
      REQUIRE(share_of(bucket, ranks) % 4 == 0);
      REQUIRE(rest_of(bucket, ranks).count < 5 * ranks);
    }
  }
}

TEST_CASE("owned parts of all ranks are every segment, once") {
  std::int64_t size = 0;
  const std::vector<Segment> segments = odd_segments(size);
  const auto buckets = plan_buckets(segments, 4096);
  for (const int count : {1, 2, 3, 4, 7}) {
    std::vector<int> owners(static_cast<std::size_t>(size));
    for (int r = 0; r < count; ++r) {
      std::int64_t end = -1;
      for (const Segment& s : owned_segments(buckets, r, count)) {
        REQUIRE(s.offset > end);  // sorted, merged
        end = s.offset + s.count;
        for (std::int64_t i = s.offset; i < end; ++i) ++owners[i];
      }
    }
    for (std::int64_t i = 0; i < size; ++i) REQUIRE(owners[i] == (inside(segments, i) ? 1 : 0));
  }
}

TEST_CASE("a sharded step is the unsharded one, bit for bit") {
  for (const std::int64_t bucket : {64, 4096, 1 << 20}) check_sharding(transport(), bucket);
}

TEST_CASE("so it is over MPI messages") {
  MpiTransport over_messages(60, false);
  check_sharding(over_messages, 4096);
}

TEST_CASE("sum() adds doubles over the ranks after wait()") {
  const auto gradients = transport().allocate(64);
  const auto reducer = transport().make_reducer(gradients.get(), {{0, 64}}, 4096, nullptr, {.shard_optimizer = true});
  reducer->begin_step(1);
  reducer->begin_backward();
  std::vector<double> squares = {1.0 + ranks().rank(), 0.25};
  if (ranks().size() > 1) REQUIRE_THROWS_AS(reducer->gather(gradients.get()), std::logic_error);
  REQUIRE_THROWS_AS(reducer->sum(squares.data(), 2), std::logic_error);
  reducer->ready(0);
  reducer->wait();
  reducer->sum(squares.data(), 2);
  const double n = ranks().size();
  REQUIRE(squares == std::vector<double>{n * (n + 1) / 2, 0.25 * n});
  reducer->finish();
}

TEST_CASE("a bf16 wire needs NCCL") {
  const auto gradients = transport().allocate(64);
  try {
    transport().make_reducer(gradients.get(), {{0, 64}}, 4096, nullptr, {.bf16_wire = true});
    FAIL("no error");
  } catch (const gpumonth::UserError& error) {
    REQUIRE_THAT(error.what(), gpumonth::tests::contains("comm.wire = \"bf16\" needs comm.transport = \"nccl\""));
  }
}
