// NCCL ranks: sums of small integers, exact whatever the order, through eager and captured steps, sharded and
// in bf16.
#include <fmt/format.h>

#include <chrono>
#include <cstring>
#include <thread>

#include "comm/check_collective.h"
#include "comm/nccl/nccl_calls.h"
#include "tests/catch.h"
#include "tests/comm/case_limit.h"
#include "tests/comm/gpu_step.h"
#include "tests/comm/ranks.h"

using namespace gpumonth::comm;
using gpumonth::tests::CaseLimit;
using gpumonth::tests::contains;
using gpumonth::tests::GpuStep;
using gpumonth::tests::ranks;
using gpumonth::tests::transport;

namespace {

constexpr int kSteps = 6;

/// Two regions in turn, as the DiT's backward gives them, and sizes that leave a rest on any number of ranks. Small
/// buckets get a small buffer, so that no step has more than some thirty: ranks that share a GPU take turns on it, of
/// milliseconds, and a collective needs all of them. (Until November 2026 buckets of 64 bytes cut 133,016 values into
/// 8,314 collectives a step, 100,000 in that case: two ranks were not over on an H200 after 49 s.)
std::vector<Segment> make_segments(std::int64_t& size, std::int64_t bucket_bytes) {
  std::vector<Segment> segments;
  const std::int64_t shrink = bucket_bytes < 1000 ? 400 : bucket_bytes < 10000 ? 10 : 1;
  const std::int64_t block = 20000 / shrink, adaln = 6403 / shrink, last = 1001 / shrink;
  const int depth = 5;
  for (int i = 0; i < depth; ++i) {
    segments.push_back({i * block, block});
    segments.push_back({depth * block + i * adaln, adaln});
  }
  segments.push_back({depth * (block + adaln), last});
  size = depth * (block + adaln) + last;
  return segments;
}

/// At most 15 a rank: sums over 16 ranks are exact in bf16 too.
float value(std::int64_t i, int rank, int step) { return static_cast<float>((i * 7 + 3 * step + 5 * rank) % 16); }

std::vector<float> values_of(std::int64_t size, int rank, int step) {
  std::vector<float> values(static_cast<std::size_t>(size));
  for (std::int64_t i = 0; i < size; ++i) values[i] = value(i, rank, step);
  return values;
}

std::vector<float> sums_of(std::int64_t size, int step) {
  std::vector<float> sums(static_cast<std::size_t>(size));
  for (int r = 0; r < ranks().size(); ++r)
    for (std::int64_t i = 0; i < size; ++i) sums[i] += value(i, r, step);
  return sums;
}

/// Wrong values inside `where`; the first one is printed.
std::size_t count_wrong(const std::vector<float>& got, const std::vector<float>& expected,
                        const std::vector<Segment>& where) {
  std::size_t wrong = 0;
  for (const Segment& s : where) {
    for (std::int64_t i = s.offset; i < s.offset + s.count; ++i) {
      if (got[i] == expected[i]) continue;
      if (wrong++ == 0)
        UNSCOPED_INFO("rank " << ranks().rank() << ", element " << i << ": " << got[i] << " in place of "
                              << expected[i]);
    }
  }
  return wrong;
}

void check_times(GradientReducer& reducer, const StepCommunication& cost) {
  CHECK(cost.exposed_s >= 0);
  REQUIRE(reducer.timeline().size() == (ranks().size() > 1 ? reducer.buckets().size() : 0));
  double before_s = 0, sum_s = 0;
  constexpr double kResolution_s = 2e-6;  // of an event, 0.5 us, and the rounding of two differences
  for (const BucketTimes& bucket : reducer.timeline()) {
    CHECK(bucket.ready_s >= 0);
    CHECK(bucket.ready_s <= bucket.start_s + kResolution_s);
    CHECK(before_s <= bucket.start_s + kResolution_s);
    CHECK(bucket.start_s <= bucket.end_s);
    before_s = bucket.end_s;
    sum_s += bucket.end_s - bucket.start_s;
  }
  CHECK(cost.comm_s == Approx(sum_s));
}

/// Steps with new values each: two eager ones, then a capture and its replays.
void check_steps(CaseLimit& limit, std::int64_t bucket_bytes, const ReducerOptions& options, bool captured) {
  std::int64_t size = 0;
  const std::vector<Segment> segments = make_segments(size, bucket_bytes);
  GpuStep step(transport(), segments, size, bucket_bytes, options);
  GradientReducer& reducer = step.reducer();
  const auto gather = [&] { reducer.gather(step.gradients()); };  // gradients in the part of parameters
  INFO("buckets of " << bucket_bytes << " bytes, bf16 " << options.bf16_wire << ", sharded " << options.shard_optimizer
                     << ", captured " << captured);
  for (int s = 1; s <= kSteps; ++s) {
    INFO("step " << s);
    limit.at(fmt::format("step {} of {}, buckets of {} bytes, {}{}{}", s, kSteps, bucket_bytes,
                         captured ? "captured" : "enqueued", options.shard_optimizer ? ", sharded" : "",
                         options.bf16_wire ? ", bf16" : ""));
    step.set(values_of(size, ranks().rank(), s));
    reducer.begin_step(s);
    const bool gathers = options.shard_optimizer && (captured || s % 2 == 0);
    if (captured && s > 2) {
      if (s == 3) step.capture(gather);
      step.replay();
    } else {
      step.enqueue(gathers ? std::function<void()>(gather) : nullptr);
    }
    const StepCommunication cost = reducer.finish();
    const std::vector<float> expected = sums_of(size, s), got = step.sums();
    REQUIRE(count_wrong(got, expected, reducer.owned()) == 0);
    if (gathers || !options.shard_optimizer) REQUIRE(count_wrong(got, expected, segments) == 0);
    check_times(reducer, cost);
  }
}

}  // namespace

TEST_CASE("every rank is on a GPU, and says which transport it is") {
  REQUIRE(transport().name() == "nccl");
  REQUIRE(transport().gpu() >= 0);
  REQUIRE(transport().allocate_common(64) == nullptr);
}

TEST_CASE("collectives of 4 B to 64 MiB are exact") {
  CaseLimit limit;
  for (const Collective& operation : collectives()) {
    std::vector<std::int64_t> sizes = {4, 8, 4096, 65540, 1 << 20, 8 << 20};
    if (operation.name == std::string("all_reduce")) sizes.push_back(64 << 20);
    for (const std::int64_t bytes : sizes) {
      INFO(operation.name << " of " << bytes << " bytes");
      limit.at(fmt::format("{} of {} bytes", operation.name, bytes));
      const auto found = check_collective(transport(), operation, {&bytes, 1}, {.warmup = 1, .repeats = 3});
      REQUIRE(found.size() == 1);
      CHECK(found[0].correct);
      CHECK(found[0].seconds > 0);
      CHECK(found[0].median_s <= found[0].p99_s);
    }
  }
}

TEST_CASE("a collective that moves values to the wrong place, or none, is found") {
  CaseLimit limit;
  Collective wrong = collective("all_to_all");
  for (const bool shifted : {false, true}) {
    wrong.on_nccl = [](NcclCalls&, const CollectiveBuffers&) {};
    if (shifted)
      wrong.on_nccl = [](NcclCalls& nccl, const CollectiveBuffers& b) {
        nccl.group([&] {
          for (int r = 0; r < b.ranks; ++r) {
            nccl.send(b.sent + (r + 1) % b.ranks * b.share(), b.share(), r);
            nccl.receive(b.values + r * b.share(), b.share(), r);
          }
        });
      };
    const std::vector<std::int64_t> sizes = {1 << 20};
    const auto found = check_collective(transport(), wrong, sizes, {.warmup = 1, .repeats = 1});
    CHECK(found[0].correct == (ranks().size() == 1));  // which copies by itself
  }
}

TEST_CASE("memory is zeroed, and host values go another way") {
  const CaseLimit limit;
  const auto memory = transport().allocate(1000);
  std::vector<float> values(1000, 1.0f);
  GPUMONTH_CUDA(cudaMemcpy, values.data(), memory.get(), 4000, cudaMemcpyDeviceToHost);
  REQUIRE(values == std::vector<float>(1000));
  std::vector<double> one = {1.0};
  ranks().all_reduce_sum(std::span<double>(one));
  REQUIRE(one[0] == ranks().size());
}

TEST_CASE("enqueued steps hold exact sums in every bucket") {
  CaseLimit limit;
  for (const std::int64_t bucket : {4096, 100000, 1 << 22}) check_steps(limit, bucket, {}, false);
}

TEST_CASE("a captured step, replayed with other values, does too") {
  CaseLimit limit;
  for (const std::int64_t bucket : {4096, 100000, 1 << 22}) check_steps(limit, bucket, {}, true);
}

TEST_CASE("bf16 on the wire is exact for what bf16 holds") {
  CaseLimit limit;
  for (const bool captured : {false, true}) check_steps(limit, 100000, {.bf16_wire = true}, captured);
}

TEST_CASE("sharded, every rank holds its share, and gather() brings all together") {
  CaseLimit limit;
  for (const std::int64_t bucket : {64, 100000})
    for (const bool captured : {false, true}) check_steps(limit, bucket, {.shard_optimizer = true}, captured);
  check_steps(limit, 100000, {.bf16_wire = true, .shard_optimizer = true}, true);
}

TEST_CASE("sums of any values are the same bits on every rank") {
  const CaseLimit limit;
  std::int64_t size = 0;
  const std::vector<Segment> segments = make_segments(size, 100000);
  GpuStep step(transport(), segments, size, 100000);
  std::vector<float> values(static_cast<std::size_t>(size));
  for (std::int64_t i = 0; i < size; ++i) values[i] = std::sin(static_cast<float>(i * (ranks().rank() + 1)));
  step.set(values);
  step.reducer().begin_step(1);
  step.enqueue();
  step.reducer().finish();
  const std::vector<float> sums = step.sums();
  std::uint64_t hash = 1469598103934665603u;  // FNV-1a
  for (const float sum : sums) {
    std::uint32_t bits = 0;
    std::memcpy(&bits, &sum, sizeof bits);
    hash = (hash ^ bits) * 1099511628211u;
  }
  const auto all = ranks().all_gather(std::to_string(hash));
  for (const std::string& other : all) REQUIRE(other == all[0]);
}

TEST_CASE("sum() adds doubles over the ranks behind wait()") {
  const CaseLimit limit;
  GpuStep step(transport(), {{0, 64}}, 64, 4096);
  const double mine[] = {1.0 + ranks().rank(), 1e-12};
  double* device = nullptr;
  GPUMONTH_CUDA(cudaMalloc, &device, sizeof mine);
  GPUMONTH_CUDA(cudaMemcpy, device, mine, sizeof mine, cudaMemcpyHostToDevice);
  step.reducer().begin_step(1);
  step.enqueue([&] { step.reducer().sum(device, 2); });
  step.reducer().finish();
  double sums[2];
  GPUMONTH_CUDA(cudaMemcpy, sums, device, sizeof sums, cudaMemcpyDeviceToHost);
  cudaFree(device);
  const double n = ranks().size();
  REQUIRE(sums[0] == n * (n + 1) / 2);
  REQUIRE(sums[1] == Approx(n * 1e-12).epsilon(1e-12));
}

TEST_CASE("the wait for a late rank is exposed") {
  if (ranks().size() == 1) return;  // nothing is waited for
  const CaseLimit limit;
  GpuStep step(transport(), {{0, 1024}}, 1024, 4096);
  for (int s = 1; s <= 2; ++s) {  // the first opens connections
    ranks().barrier();
    if (s == 2 && ranks().rank() == 0) std::this_thread::sleep_for(std::chrono::milliseconds(500));
    step.reducer().begin_step(s);
    step.enqueue();
    const StepCommunication cost = step.reducer().finish();
    if (s == 2 && ranks().rank() > 0) CHECK(cost.exposed_s > 0.3);
  }
}

TEST_CASE("a capture that fails is given up, and the step is enqueued") {
  const CaseLimit limit;
  std::int64_t size = 0;
  const std::vector<Segment> segments = make_segments(size, 100000);
  GpuStep step(transport(), segments, size, 100000);
  step.set(values_of(size, ranks().rank(), 1));
  step.reducer().begin_step(1);
  step.enqueue();
  step.reducer().finish();

  step.reducer().begin_step(2);
  GPUMONTH_CUDA(cudaStreamBeginCapture, step.stream(), cudaStreamCaptureModeThreadLocal);
  step.reducer().begin_backward();
  cudaStreamSynchronize(step.stream());  // not allowed in a capture: it fails, and all that follows
  if (ranks().size() > 1)
    REQUIRE_THROWS_AS(([&] {
                        for (std::size_t s = 0; s < segments.size(); ++s) step.reducer().ready(static_cast<int>(s));
                      }()),
                      std::runtime_error);
  cudaGraph_t graph = nullptr;
  REQUIRE(cudaStreamEndCapture(step.stream(), &graph) != cudaSuccess);
  cudaGetLastError();
  step.enqueue();
  step.reducer().finish();
  REQUIRE(count_wrong(step.sums(), sums_of(size, 1), segments) == 0);
}

TEST_CASE("calls out of order are refused") {
  const CaseLimit limit;
  GpuStep step(transport(), {{0, 16}, {16, 48}}, 64, 64);
  GradientReducer& reducer = step.reducer();
  REQUIRE_THROWS_AS(reducer.finish(), std::logic_error);
  REQUIRE_THROWS_AS(reducer.ready(0), std::logic_error);
  reducer.begin_step(1);
  REQUIRE_THROWS_AS(reducer.begin_step(2), std::logic_error);
  reducer.begin_backward();
  REQUIRE_THROWS_AS(reducer.ready(1), std::logic_error);
  reducer.ready(0);
  REQUIRE_THROWS_AS(reducer.wait(), std::logic_error);
  reducer.ready(1);
  reducer.wait();
  reducer.finish();
  ranks().barrier();
}
