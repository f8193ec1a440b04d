// Work recorded as a CUDA graph: what a replay sees, streams beside the first, and work that cannot be recorded.
#include "trainer/ops/step_graph.h"

#include <algorithm>
#include <stdexcept>

#include "tests/catch.h"
#include "tests/trainer/cuda/gpu.h"
#include "tests/trainer/ops/values.h"

namespace gpumonth::ops {
namespace {

using tests::gpu, tests::same_bits;

constexpr std::int64_t kCount = 1000;
constexpr int kRuns = 7;

/// Buffers on a context of its own, which replays.
struct Fixture {
  Fixture() {
    gpu();  // without a GPU the program ends here
    device.context = std::make_shared<CudaContext>(0, true);
    in = {device, kCount};
    out = {device, kCount};
    beside = {device, kCount};
  }
  void load(int run) {
    const std::vector<float> values = expected(run);
    copy_to_device(device, in.get(), values.data(), in.bytes());
    GPUMONTH_CUDA(cudaMemsetAsync, out.get(), 0, out.bytes(), stream_of(device));
    GPUMONTH_CUDA(cudaMemsetAsync, beside.get(), 0, beside.bytes(), stream_of(device));
  }
  static std::vector<float> expected(int run) { return std::vector<float>(kCount, static_cast<float>(run + 1)); }
  void copy(const Buffer<Cuda, float>& to, const Buffer<Cuda, float>& from, cudaStream_t stream) {
    GPUMONTH_CUDA(cudaMemcpyAsync, to.get(), from.get(), from.bytes(), cudaMemcpyDeviceToDevice, stream);
  }
  std::vector<float> values(const Buffer<Cuda, float>& buffer) {
    std::vector<float> host(kCount);
    copy_to_host(device, host.data(), buffer.get(), buffer.bytes());
    return host;
  }
  Cuda device;
  Buffer<Cuda, float> in, out, beside;
};

TEST_CASE_METHOD(Fixture,
                 "two runs call the work, a third records it, the rest replay it with what memory holds then") {
  StepGraph<Cuda> graph(device);
  int calls = 0;
  for (int run = 0; run < kRuns; ++run) {
    INFO("run " << run);
    load(run);
    graph.run([&] {
      ++calls;
      copy(out, in, stream_of(device));
    });
    CHECK(same_bits(values(out), expected(run)));
    CHECK(calls == std::min(run + 1, 3));
    CHECK(graph.replays() == (run >= 2));
  }
}

TEST_CASE_METHOD(Fixture, "a stream that is forked and joined belongs to the recording") {
  const machine::CudaStream other(machine::Urgency::least);
  const machine::CudaEvent forked(cudaEventDisableTiming), joined(cudaEventDisableTiming);
  StepGraph<Cuda> graph(device);
  int calls = 0;
  for (int run = 0; run < kRuns; ++run) {
    INFO("run " << run);
    load(run);
    graph.run([&] {
      ++calls;
      copy(out, in, stream_of(device));
      GPUMONTH_CUDA(cudaEventRecord, forked.get(), stream_of(device));
      GPUMONTH_CUDA(cudaStreamWaitEvent, other.get(), forked.get(), 0);
      copy(beside, out, other.get());
      GPUMONTH_CUDA(cudaEventRecord, joined.get(), other.get());
      GPUMONTH_CUDA(cudaStreamWaitEvent, stream_of(device), joined.get(), 0);
    });
    CHECK(same_bits(values(out), expected(run)));
    CHECK(same_bits(values(beside), expected(run)));
  }
  CHECK(graph.replays());
  CHECK(calls == 3);
}

TEST_CASE_METHOD(Fixture, "work that waits cannot be recorded and is called in every run") {
  StepGraph<Cuda> graph(device);
  int calls = 0;
  for (int run = 0; run < kRuns; ++run) {
    INFO("run " << run);
    load(run);
    graph.run([&] {
      ++calls;
      copy(out, in, stream_of(device));
      GPUMONTH_CUDA(cudaStreamSynchronize, stream_of(device));
    });
    CHECK(same_bits(values(out), expected(run)));
  }
  CHECK_FALSE(graph.replays());
  CHECK(calls == kRuns + 1);  // once in vain
}

TEST_CASE_METHOD(Fixture,
                 "work that loads from the host cannot be recorded: a replay would load what lies there then") {
  StepGraph<Cuda> graph(device);
  for (int run = 0; run < kRuns; ++run) {
    INFO("run " << run);
    graph.run([&] {
      const auto host = expected(run);
      copy_to_device(device, out.get(), host.data(), out.bytes());
    });
    CHECK(same_bits(values(out), expected(run)));
  }
  CHECK_FALSE(graph.replays());
}

TEST_CASE_METHOD(Fixture, "work that leaves a stream unjoined cannot be recorded, and both streams stay usable") {
  const machine::CudaStream other(machine::Urgency::least);
  const machine::CudaEvent forked(cudaEventDisableTiming);
  StepGraph<Cuda> graph(device);
  for (int run = 0; run < kRuns; ++run) {
    INFO("run " << run);
    load(run);
    graph.run([&] {
      copy(out, in, stream_of(device));
      GPUMONTH_CUDA(cudaEventRecord, forked.get(), stream_of(device));
      GPUMONTH_CUDA(cudaStreamWaitEvent, other.get(), forked.get(), 0);
      copy(beside, out, other.get());
    });
    GPUMONTH_CUDA(cudaStreamSynchronize, other.get());
    CHECK(same_bits(values(out), expected(run)));
    CHECK(same_bits(values(beside), expected(run)));
  }
  CHECK_FALSE(graph.replays());
}

TEST_CASE_METHOD(Fixture,
                 "where another rank could not record, nothing is replayed, and the work is done all the same") {
  for (const bool others : {true, false}) {
    StepGraph<Cuda> graph(device);
    int asked = 0;
    graph.agree_by([&](bool mine) {
      ++asked;
      return mine && others;
    });
    for (int run = 0; run < kRuns; ++run) {
      INFO("run " << run);
      load(run);
      graph.run([&] { copy(out, in, stream_of(device)); });
      CHECK(same_bits(values(out), expected(run)));
    }
    CHECK(asked == 1);
    CHECK(graph.replays() == others);
  }
}

TEST_CASE_METHOD(Fixture, "an exception of the work itself comes through, and the stream goes on") {
  StepGraph<Cuda> graph(device);
  for (int run = 0; run < 4; ++run)
    CHECK_THROWS_AS(graph.run([] { throw std::domain_error("of the work"); }), std::domain_error);
  load(1);
  copy(out, in, stream_of(device));
  CHECK(same_bits(values(out), expected(1)));
}

TEST_CASE_METHOD(Fixture, "nothing is recorded where graphs are switched off") {
  device.context->use_graphs = false;
  StepGraph<Cuda> graph(device);
  int calls = 0;
  for (int run = 0; run < kRuns; ++run) graph.run([&] { ++calls; });
  CHECK(calls == kRuns);
  CHECK_FALSE(graph.replays());
}

}  // namespace
}  // namespace gpumonth::ops
