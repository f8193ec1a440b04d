// Faults that the emulated GPU is there to find: each is made on purpose, and found.
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <vector>

#include "tests/catch.h"
#include "tests/emulator/kernel.h"

namespace gpumonth::emulator {
namespace {

constexpr unsigned kThreads = 96;

struct Stream {
  Stream() { cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking); }
  ~Stream() { cudaStreamDestroy(stream); }
  cudaStream_t stream = nullptr;
};

struct Ints {
  explicit Ints(std::size_t n) : count(n) {
    cudaMalloc(reinterpret_cast<void**>(&at), n * sizeof(int));
    cudaMemset(at, 0, n * sizeof(int));
    cudaDeviceSynchronize();
  }
  ~Ints() { cudaFree(at); }
  std::vector<int> values() const {
    std::vector<int> host(count);
    cudaMemcpy(host.data(), at, count * sizeof(int), cudaMemcpyDeviceToHost);
    return host;
  }
  std::size_t count;
  int* at = nullptr;
};

/// The end of a process that does `work`: its signal, or 0.
template <class F>
int signal_of(const F& work) {
  const pid_t child = fork();
  if (child == 0) {
    for (const int number : {SIGSEGV, SIGABRT}) std::signal(number, SIG_DFL);  // else Catch reports for the child
    std::freopen("/dev/null", "w", stderr);
    work();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

/// Each thread reads what its right neighbour wrote.
void neighbours(int* out, bool barrier) {
  __shared__ int shared[kThreads];
  shared[threadIdx.x] = static_cast<int>(threadIdx.x) + 1;
  if (barrier) __syncthreads();
  out[threadIdx.x] = shared[(threadIdx.x + 1) % kThreads];
  __syncthreads();
  shared[threadIdx.x] = 0;
}

bool neighbours_right(bool barrier) {
  const Ints out(kThreads);
  Launch(1, kThreads)(neighbours, out.at, barrier);
  cudaDeviceSynchronize();
  const std::vector<int> got = out.values();
  for (unsigned i = 0; i < kThreads; ++i)
    if (got[i] != static_cast<int>((i + 1) % kThreads) + 1) return false;
  return true;
}

TEST_CASE("a barrier too few gives wrong numbers, in launches of either order") {
  for (int launch = 0; launch < 4; ++launch) {
    CHECK(neighbours_right(true));
    CHECK_FALSE(neighbours_right(false));
  }
}

void sum_of_lanes(int* out) {
  int value = static_cast<int>(threadIdx.x);
  for (int distance = 16; distance > 0; distance /= 2) value += __shfl_xor_sync(0xffffffffu, value, distance);
  out[threadIdx.x] = value;
}

TEST_CASE("shuffles exchange within warps") {
  const Ints out(kThreads);
  Launch(1, kThreads)(sum_of_lanes, out.at);
  cudaDeviceSynchronize();
  for (unsigned i = 0; i < kThreads; ++i) CHECK(out.values()[i] == static_cast<int>(i / 32 * 32 * 32 + 31 * 32 / 2));
}

TEST_CASE("a shuffle that some lanes do not come to ends the program") {
  const auto kernel = [] {
    if (threadIdx.x % 2 == 0) __shfl_xor_sync(0xffffffffu, 1, 1);
  };
  CHECK(signal_of([&] {
          Launch(1, 32)(kernel);
          cudaDeviceSynchronize();
        }) == SIGABRT);
}

TEST_CASE("reads and writes beside an allocation, and by the host, end the program") {
  const Ints ints(64);
  const auto touch = [&](int index) {
    return signal_of([&] {
      Launch(1, 1)([](int* at, int i) { at[i] = 1; }, ints.at, index);
      cudaDeviceSynchronize();
    });
  };
  CHECK(touch(63) == 0);
  CHECK(touch(64) == SIGSEGV);
  CHECK(signal_of([&] { ints.at[0] = 1; }) == SIGSEGV);
}

TEST_CASE("new memory holds NaNs") {
  float *memory = nullptr, host = 0;
  REQUIRE(cudaMalloc(reinterpret_cast<void**>(&memory), sizeof host) == cudaSuccess);
  CHECK(cudaMemcpy(&host, memory, sizeof host, cudaMemcpyDeviceToHost) == cudaSuccess);
  CHECK(host != host);
  cudaFree(memory);
}

void write_one(int* at) { *at = 1; }
void copy_one(const int* from, int* to) { *to = *from; }

/// Work on a second stream that needs the first one's, ordered by an event or not at all.
int result_of_two_streams(bool wait) {
  const Stream first, second;
  const Ints in(1), out(1);
  cudaEvent_t written = nullptr;
  cudaEventCreate(&written);
  Launch(1, 1, 0, first.stream)(write_one, in.at);
  cudaEventRecord(written, first.stream);
  if (wait) cudaStreamWaitEvent(second.stream, written, 0);
  Launch(1, 1, 0, second.stream)(copy_one, in.at, out.at);
  cudaStreamSynchronize(second.stream);
  cudaDeviceSynchronize();
  cudaEventDestroy(written);
  return out.values()[0];
}

TEST_CASE("streams that share data without an event go wrong") {
  CHECK(result_of_two_streams(true) == 1);
  CHECK(result_of_two_streams(false) == 0);
}

TEST_CASE("pinned memory that is written again before the copy out of it has run is copied as it is then") {
  const Stream stream;
  const Ints to(1);
  int* pinned = nullptr;
  cudaHostAlloc(reinterpret_cast<void**>(&pinned), sizeof(int), cudaHostAllocDefault);
  *pinned = 1;
  cudaMemcpyAsync(to.at, pinned, sizeof(int), cudaMemcpyHostToDevice, stream.stream);
  *pinned = 2;
  cudaStreamSynchronize(stream.stream);
  CHECK(to.values()[0] == 2);
  cudaFreeHost(pinned);
}

TEST_CASE("a graph keeps the order that events gave it, each time it is launched") {
  const Stream main, side;
  const Ints in(1), out(1);
  cudaEvent_t fork = nullptr, join = nullptr;
  cudaEventCreate(&fork);
  cudaEventCreate(&join);
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t exec = nullptr;
  const auto capture = [&](bool joined) {
    cudaStreamBeginCapture(main.stream, cudaStreamCaptureModeThreadLocal);
    Launch(1, 1, 0, main.stream)(write_one, in.at);
    cudaEventRecord(fork, main.stream);
    cudaStreamWaitEvent(side.stream, fork, 0);
    Launch(1, 1, 0, side.stream)(copy_one, in.at, out.at);
    cudaEventRecord(join, side.stream);
    if (joined) cudaStreamWaitEvent(main.stream, join, 0);
    return cudaStreamEndCapture(main.stream, &graph);
  };
  CHECK(capture(false) == cudaErrorStreamCaptureUnjoined);
  REQUIRE(capture(true) == cudaSuccess);
  REQUIRE(cudaGraphInstantiate(&exec, graph, 0) == cudaSuccess);
  CHECK(out.values()[0] == 0);
  for (int launch = 0; launch < 2; ++launch) {
    cudaMemset(in.at, 0, sizeof(int));
    cudaMemset(out.at, 0, sizeof(int));
    cudaDeviceSynchronize();
    cudaGraphLaunch(exec, main.stream);
    cudaStreamSynchronize(main.stream);
    CHECK(out.values()[0] == 1);
  }
  cudaGraphExecDestroy(exec);
  cudaGraphDestroy(graph);
  cudaEventDestroy(fork);
  cudaEventDestroy(join);
}

TEST_CASE("allocating or waiting while a graph is recorded is refused, and spoils the graph") {
  const Stream stream;
  void* memory = nullptr;
  cudaGraph_t graph = nullptr;
  cudaStreamBeginCapture(stream.stream, cudaStreamCaptureModeThreadLocal);
  CHECK(cudaMalloc(&memory, 16) == cudaErrorStreamCaptureUnsupported);
  CHECK(cudaStreamEndCapture(stream.stream, &graph) == cudaErrorStreamCaptureInvalidated);
  cudaStreamBeginCapture(stream.stream, cudaStreamCaptureModeThreadLocal);
  CHECK(cudaStreamSynchronize(stream.stream) == cudaErrorStreamCaptureUnsupported);
  CHECK(cudaStreamEndCapture(stream.stream, &graph) == cudaErrorStreamCaptureInvalidated);
  cudaGetLastError();
}

TEST_CASE("a launch that no GPU takes is said by the next check") {
  Launch(1, 1025)(write_one, static_cast<int*>(nullptr));
  CHECK(cudaGetLastError() == cudaErrorInvalidConfiguration);
  CHECK(cudaGetLastError() == cudaSuccess);
}

}  // namespace
}  // namespace gpumonth::emulator
