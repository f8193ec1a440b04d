// GPU memory, copies in stream order, events, and what an error says.
#include "trainer/ops/buffer.h"

#include <string>

#include "tests/catch.h"
#include "tests/trainer/cuda/gpu.h"
#include "tests/trainer/ops/values.h"
#include "trainer/ops/step_graph.h"
#include "trainer/ops/step_timer.h"

namespace gpumonth::ops {
namespace {

using tests::contains, tests::gpu, tests::on_gpu, tests::on_host, tests::random_values, tests::same_bits;

constexpr std::int64_t kMiB = std::int64_t{1} << 20;

TEST_CASE("new memory is zero, also where other numbers were before") {
  for (const std::int64_t count : {std::int64_t{1}, std::int64_t{1000}, 16 * kMiB}) {
    INFO(count << " floats");
    { const auto dirty = on_gpu(std::vector<float>(static_cast<std::size_t>(count), 3.0f)); }
    const Buffer<Cuda, float> buffer(gpu(), count);
    CHECK(same_bits(on_host(buffer), std::vector<float>(static_cast<std::size_t>(count))));
    CHECK(reinterpret_cast<std::uintptr_t>(buffer.get()) % 256 == 0);
  }
}

TEST_CASE("an empty buffer can be made, copied and released") {
  const Buffer<Cuda, float> buffer(gpu(), 0);
  CHECK(buffer.bytes() == 0);
  copy_to_device(gpu(), buffer.get(), nullptr, 0);
  copy_to_host(gpu(), nullptr, buffer.get(), 0);
}

// The staging ring holds 32 MiB in slots of 8: below a slot, over its end, over the whole ring.
TEST_CASE("what goes to the GPU comes back") {
  for (const std::int64_t count :
       {std::int64_t{1}, std::int64_t{3}, std::int64_t{100003}, 2 * kMiB - 1, 2 * kMiB, 2 * kMiB + 1, 20 * kMiB + 7}) {
    INFO(count << " floats");
    const auto values = random_values(count, 1);
    CHECK(same_bits(on_host(on_gpu(values)), values));
  }
}

TEST_CASE("host memory may be written to as soon as a copy to the GPU returns") {
  constexpr int kCopies = 4000;  // of 20 kB: 80 MB, several times round the ring
  std::vector<std::int32_t> host(5000);
  const Buffer<Cuda, std::int32_t> target(gpu(), kCopies * std::int64_t{5000});
  for (int copy = 0; copy < kCopies; ++copy) {
    for (std::size_t i = 0; i < host.size(); ++i) host[i] = copy * 5000 + static_cast<std::int32_t>(i);
    copy_to_device(gpu(), target.get() + copy * std::int64_t{5000}, host.data(), host.size() * sizeof(std::int32_t));
  }
  const auto found = on_host(target);
  std::size_t wrong = 0, first_wrong = 0;
  for (std::size_t i = found.size(); i-- > 0;) {
    if (found[i] == static_cast<std::int32_t>(i)) continue;
    ++wrong;
    first_wrong = i;
  }
  INFO("the first wrong one is " << first_wrong << ", in copy " << first_wrong / 5000);
  CHECK(wrong == 0);
}

TEST_CASE("copies keep their order among the stream's other work") {
  const std::size_t count = 12 * kMiB;
  const std::vector<float> first(count, 1), second(count, 2);
  const Buffer<Cuda, float> source(gpu(), static_cast<std::int64_t>(count)),
      kept(gpu(), static_cast<std::int64_t>(count));
  copy_to_device(gpu(), source.get(), first.data(), source.bytes());
  GPUMONTH_CUDA(cudaMemcpyAsync, kept.get(), source.get(), source.bytes(), cudaMemcpyDeviceToDevice, stream_of(gpu()));
  copy_to_device(gpu(), source.get(), second.data(), source.bytes());
  CHECK(same_bits(on_host(kept), first));
  CHECK(same_bits(on_host(source), second));
}

TEST_CASE("memory that the GPU does not have is refused with a hint, and everything goes on") {
  std::string message = "no error";
  try {
    const Buffer<Cuda, std::byte> buffer(gpu(), std::int64_t{1} << 50);
  } catch (const CudaOutOfMemory& error) {
    message = error.what();
  }
  CHECK_THAT(message, contains("cudaMalloc: out of memory at trainer/ops/cuda/buffer.cu:"));
  CHECK_THAT(message, contains("fewer samples per rank"));
  CHECK(cudaGetLastError() == cudaSuccess);
  const std::vector<float> values{1, 2, 3};
  CHECK(same_bits(on_host(on_gpu(values)), values));
}

TEST_CASE("a device that is not there is refused with a hint") {
  std::string message = "no error";
  try {
    const CudaContext context(4096, false);
  } catch (const CudaError& error) {
    message = error.what();
  }
  GPUMONTH_CUDA(cudaSetDevice, gpu().context->ordinal);
  CHECK_THAT(message, contains("CUDA_VISIBLE_DEVICES"));
}

TEST_CASE("a timeline measures the work between its marks", "[hardware]") {
  StepTimer<Cuda> timeline(gpu(), 3);
  const Buffer<Cuda, std::byte> memory(gpu(), 512 * kMiB);
  timeline.mark(0);
  GPUMONTH_CUDA(cudaMemsetAsync, memory.get(), 1, memory.bytes(), stream_of(gpu()));
  timeline.mark(1);
  for (int i = 0; i < 9; ++i) GPUMONTH_CUDA(cudaMemsetAsync, memory.get(), 1, memory.bytes(), stream_of(gpu()));
  timeline.mark(2);
  synchronize(gpu());
  const double one_s = timeline.seconds(0, 1), nine_s = timeline.seconds(1, 2);
  INFO("one: " << one_s << " s, nine: " << nine_s << " s");
  CHECK(one_s > 512.0 * kMiB / 20e12);  // no GPU writes 20 TB/s
  CHECK(nine_s > 4 * one_s);
  CHECK(timeline.seconds(0, 2) == Approx(one_s + nine_s).epsilon(0.05));
}

TEST_CASE("a recorded mark is taken anew in every replay") {
  auto context = std::make_shared<CudaContext>(0, true);
  Cuda device{context};
  StepTimer<Cuda> timeline(device, 2);
  const Buffer<Cuda, std::byte> memory(device, 256 * kMiB);
  StepGraph<Cuda> graph(device);
  timeline.mark(0);  // as in a step: the first mark lies outside
  for (int run = 0; run < 6; ++run) {
    INFO("run " << run);
    timeline.mark(0);
    graph.run([&] {
      GPUMONTH_CUDA(cudaMemsetAsync, memory.get(), 1, memory.bytes(), stream_of(device));
      timeline.mark(1);
    });
    synchronize(device);
    const double taken_s = timeline.seconds(0, 1);
    INFO(taken_s << " s");
    CHECK(taken_s > 256.0 * kMiB / 20e12);
    CHECK(taken_s < 1);
  }
  CHECK(graph.replays());
}

}  // namespace
}  // namespace gpumonth::ops
