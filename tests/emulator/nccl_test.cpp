// The emulated NCCL: collectives, groups, graphs, and how it fails.
#include <bit>
#include <cstring>
#include <string>

#include "tests/emulator/nccl_ranks.h"

using namespace gpumonth::tests;

namespace {

/// Small integers: their sums are exact in any order.
template <class T>
std::vector<T> values_of(int rank, std::size_t count) {
  std::vector<T> values(count);
  for (std::size_t i = 0; i < count; ++i) values[i] = static_cast<T>((i * 7 + static_cast<std::size_t>(rank) * 5) % 31);
  return values;
}
template <class T>
std::vector<T> sum_of(int size, std::size_t count) {
  std::vector<T> sums(count);
  for (int r = 0; r < size; ++r) {
    const auto values = values_of<T>(r, count);
    for (std::size_t i = 0; i < count; ++i) sums[i] += values[i];
  }
  return sums;
}

template <class T>
void check_collectives(ncclComm_t comm, int rank, int size, std::size_t count, ncclDataType_t type) {
  const Stream on;
  const auto n = static_cast<std::size_t>(size), r = static_cast<std::size_t>(rank);
  const auto all = sum_of<T>(size, n * count);
  const auto part = [&](const std::vector<T>& of, std::size_t i) {
    return std::vector<T>(of.begin() + static_cast<std::ptrdiff_t>(i * count),
                          of.begin() + static_cast<std::ptrdiff_t>((i + 1) * count));
  };
  const Buffer<T> source(values_of<T>(rank, n * count)), whole(values_of<T>(rank, n * count));
  const Buffer<T> scattered(std::vector<T>(count, T(-1)));
  EXPECT(ncclAllReduce(whole.data, whole.data, n * count, type, ncclSum, comm, on.stream) == ncclSuccess);
  EXPECT(ncclReduceScatter(source.data, scattered.data, count, type, ncclSum, comm, on.stream) == ncclSuccess);
  on.wait();
  EXPECT(whole.fetch() == all);
  EXPECT(scattered.fetch() == part(all, r));

  EXPECT(ncclAllReduce(source.data, whole.data, n * count, type, ncclSum, comm, on.stream) == ncclSuccess);
  EXPECT(ncclReduceScatter(source.data, source.at(r * count), count, type, ncclSum, comm, on.stream) == ncclSuccess);
  on.wait();
  EXPECT(whole.fetch() == all);
  EXPECT(part(source.fetch(), r) == part(all, r));

  EXPECT(ncclAllGather(source.at(r * count), source.data, count, type, comm, on.stream) == ncclSuccess);
  EXPECT(ncclAllGather(scattered.data, whole.data, count, type, comm, on.stream) == ncclSuccess);
  on.wait();
  EXPECT(source.fetch() == all);
  EXPECT(whole.fetch() == all);

  const Buffer<T> sent(values_of<T>(rank, count)), received(std::vector<T>(count, T(-1)));
  EXPECT(ncclBroadcast(sent.data, received.data, count, type, size - 1, comm, on.stream) == ncclSuccess);
  EXPECT(ncclBroadcast(sent.data, sent.data, count, type, 0, comm, on.stream) == ncclSuccess);
  on.wait();
  EXPECT(received.fetch() == values_of<T>(size - 1, count));
  EXPECT(sent.fetch() == values_of<T>(0, count));
}

/// All-reduces 4 floats in this thread while another waits for an error and aborts; the error.
ncclResult_t reduce_until_error(ncclComm_t comm, std::size_t count = 4) {
  const Stream on;
  const Buffer<float> values(std::vector<float>(count, 1.0f));
  EXPECT(ncclAllReduce(values.data, values.data, count, ncclFloat, ncclSum, comm, on.stream) == ncclSuccess);
  return abort_on_error(comm, on);
}

}  // namespace

TEST_CASE("collectives of any size, in place and not") {
  for (const int size : {1, 2, 3, 4}) {
    INFO(size << " ranks");
    const Codes codes = run_ranks(size, [size](int rank, const ncclUniqueId& id) {
      ncclComm_t comm = connect(rank, size, id);
      for (const std::size_t count : {std::size_t{0}, std::size_t{1}, std::size_t{1000}, std::size_t{700001}}) {
        check_collectives<float>(comm, rank, size, count, ncclFloat);
        if (count < 5000) check_collectives<double>(comm, rank, size, count, ncclDouble);
      }
      EXPECT(ncclCommDestroy(comm) == ncclSuccess);
    });
    REQUIRE(codes == Codes(static_cast<std::size_t>(size), 0));
  }
}

TEST_CASE("bf16 is rounded after each addition") {
  const Codes codes = run_ranks(3, [](int rank, const ncclUniqueId& id) {
    ncclComm_t comm = connect(rank, 3, id);
    const auto bits = [](float x) { return static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(x) >> 16); };
    // 256 + 1 is a tie between 256 and 258, and goes to the even 256, twice. In fp32 it would be 258.
    const Stream on;
    const Buffer<std::uint16_t> value(std::vector<std::uint16_t>{bits(rank == 0 ? 256.0f : 1.0f)});
    EXPECT(ncclAllReduce(value.data, value.data, 1, ncclBfloat16, ncclSum, comm, on.stream) == ncclSuccess);
    on.wait();
    EXPECT(value.fetch()[0] == bits(256));
    EXPECT(ncclCommDestroy(comm) == ncclSuccess);
  });
  REQUIRE(codes == Codes(3, 0));
}

TEST_CASE("a communicator's collectives run in the order of the calls on any streams") {
  const Codes codes = run_ranks(2, [](int rank, const ncclUniqueId& id) {
    ncclComm_t comm = connect(rank, 2, id);
    const Stream first, second;
    const Buffer<float> a(std::vector<float>(10, 1.0f)), b(std::vector<float>(20, 1.0f));
    for (int i = 0; i < 5; ++i) {
      EXPECT(ncclAllReduce(a.data, a.data, 10, ncclFloat, ncclSum, comm, first.stream) == ncclSuccess);
      EXPECT(ncclAllReduce(b.data, b.data, 20, ncclFloat, ncclSum, comm, second.stream) == ncclSuccess);
    }
    (rank == 0 ? first : second).wait();
    (rank == 0 ? second : first).wait();
    EXPECT(a.fetch() == std::vector<float>(10, 32.0f));
    EXPECT(b.fetch() == std::vector<float>(20, 32.0f));
    EXPECT(ncclCommDestroy(comm) == ncclSuccess);
  });
  REQUIRE(codes == Codes(2, 0));
}

TEST_CASE("a group starts at its end, and a captured one with each launch") {
  const Codes codes = run_ranks(2, [](int rank, const ncclUniqueId& id) {
    ncclComm_t comm = connect(rank, 2, id);
    const Stream on;
    const Buffer<float> a(std::vector<float>(6, 1.0f)), b(std::vector<float>(3, 1.0f));
    const auto group = [&] {
      EXPECT(ncclGroupStart() == ncclSuccess);
      EXPECT(ncclAllReduce(a.data, a.data, 6, ncclFloat, ncclSum, comm, on.stream) == ncclSuccess);
      EXPECT(ncclBroadcast(b.data, b.data, 3, ncclFloat, 1, comm, on.stream) == ncclSuccess);
      on.wait();
      EXPECT(a.fetch() == std::vector<float>(6, 1.0f));  // nothing has started
      EXPECT(ncclGroupEnd() == ncclSuccess);
    };
    group();
    on.wait();
    EXPECT(a.fetch() == std::vector<float>(6, 2.0f));
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t launchable = nullptr;
    EXPECT(cudaStreamBeginCapture(on.stream, cudaStreamCaptureModeThreadLocal) == cudaSuccess);
    EXPECT(ncclAllReduce(a.data, a.data, 6, ncclFloat, ncclSum, comm, on.stream) == ncclSuccess);
    EXPECT(cudaStreamEndCapture(on.stream, &graph) == cudaSuccess);
    EXPECT(cudaGraphInstantiate(&launchable, graph, 0) == cudaSuccess);
    EXPECT(cudaGraphDestroy(graph) == cudaSuccess);
    for (int i = 0; i < 3; ++i) EXPECT(cudaGraphLaunch(launchable, on.stream) == cudaSuccess);
    on.wait();
    EXPECT(a.fetch() == std::vector<float>(6, 16.0f));
    EXPECT(cudaGraphExecDestroy(launchable) == cudaSuccess);
    EXPECT(ncclCommDestroy(comm) == ncclSuccess);
  });
  REQUIRE(codes == Codes(2, 0));
}

TEST_CASE("a capture that has failed makes calls fail, in a group too") {
  const Codes codes = run_ranks(1, [](int rank, const ncclUniqueId& id) {
    ncclComm_t comm = connect(rank, 1, id);
    const Stream on;
    const Buffer<float> a(std::vector<float>(6, 1.0f));
    EXPECT(cudaStreamBeginCapture(on.stream, cudaStreamCaptureModeThreadLocal) == cudaSuccess);
    EXPECT(cudaStreamSynchronize(on.stream) != cudaSuccess);
    EXPECT(ncclAllReduce(a.data, a.data, 6, ncclFloat, ncclSum, comm, on.stream) == ncclUnhandledCudaError);
    EXPECT(ncclGroupStart() == ncclSuccess);
    EXPECT(ncclAllReduce(a.data, a.data, 6, ncclFloat, ncclSum, comm, on.stream) == ncclUnhandledCudaError);
    EXPECT(ncclGroupEnd() == ncclUnhandledCudaError);
  });
  REQUIRE(codes == Codes(1, 0));
}

TEST_CASE("ranks that call different collectives are told so") {
  const Codes codes = run_ranks(2, [](int rank, const ncclUniqueId& id) {
    ncclComm_t comm = connect(rank, 2, id);
    EXPECT(reduce_until_error(comm, rank == 0 ? 4 : 5) == ncclInvalidUsage);
    EXPECT(std::strstr(ncclGetLastError(nullptr), "different collectives"));
  });
  REQUIRE(codes == Codes(2, 0));
}

TEST_CASE("a collective that one rank alone captures, or with a buffer that it alone registered, is refused") {
  for (const bool captures : {true, false}) {
    const Codes codes = run_ranks(2, [captures](int rank, const ncclUniqueId& id) {
      ncclComm_t comm = connect(rank, 2, id);
      const Stream on;
      const Buffer<float> a(std::vector<float>(6, 1.0f));
      void* handle = nullptr;
      cudaGraph_t graph = nullptr;
      cudaGraphExec_t launchable = nullptr;
      const bool captured = captures && rank == 0;
      if (!captures && rank == 0) EXPECT(ncclCommRegister(comm, a.data, 24, &handle) == ncclSuccess);
      if (captured) EXPECT(cudaStreamBeginCapture(on.stream, cudaStreamCaptureModeThreadLocal) == cudaSuccess);
      EXPECT(ncclAllReduce(a.data, a.data, 6, ncclFloat, ncclSum, comm, on.stream) == ncclSuccess);
      if (captured) {
        EXPECT(cudaStreamEndCapture(on.stream, &graph) == cudaSuccess);
        EXPECT(cudaGraphInstantiate(&launchable, graph, 0) == cudaSuccess);
        EXPECT(cudaGraphLaunch(launchable, on.stream) == cudaSuccess);
      }
      EXPECT(abort_on_error(comm, on) == ncclInvalidUsage);
    });
    REQUIRE(codes == Codes(2, 0));
  }
}

TEST_CASE("a rank that ends, is killed or aborts is an error of the others, until they abort") {
  for (const char* how : {"ends", "is killed", "aborts"}) {
    INFO(how);
    const bool killed = !std::strcmp(how, "is killed");
    const Codes codes = run_ranks(2, [&](int rank, const ncclUniqueId& id) {
      ncclComm_t comm = connect(rank, 2, id);
      if (rank == 0) {
        EXPECT(reduce_until_error(comm) == ncclRemoteError);
        ncclResult_t error = ncclSuccess;
        EXPECT(ncclCommGetAsyncError(comm, &error) == ncclInvalidArgument);  // the handle is gone
        return;
      }
      if (killed) raise(SIGKILL);
      if (!std::strcmp(how, "aborts")) {
        EXPECT(ncclCommAbort(comm) == ncclSuccess);
        std::this_thread::sleep_for(2s);
      }
    });
    REQUIRE(codes == Codes{0, killed ? 128 + SIGKILL : 0});
  }
}

TEST_CASE("a rank's own abort ends its collective") {
  const Codes codes = run_ranks(2, [](int rank, const ncclUniqueId& id) {
    ncclComm_t comm = connect(rank, 2, id);
    if (rank == 1) {
      std::this_thread::sleep_for(2s);  // never comes
      return;
    }
    const Stream on;
    const Buffer<float> a(std::vector<float>(6, 1.0f));
    EXPECT(ncclAllReduce(a.data, a.data, 6, ncclFloat, ncclSum, comm, on.stream) == ncclSuccess);
    std::thread other([&] {
      std::this_thread::sleep_for(300ms);
      ncclCommAbort(comm);
    });
    on.wait();
    other.join();
  });
  REQUIRE(codes == Codes(2, 0));
}

TEST_CASE("two ranks on one GPU are refused, unless they say they are two hosts") {
  for (const bool two_hosts : {false, true}) {
    const Codes codes = run_ranks(2, [two_hosts](int rank, const ncclUniqueId& id) {
      if (two_hosts) setenv("NCCL_HOSTID", ("host " + std::to_string(rank)).c_str(), 1);
      ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
      ncclComm_t comm = nullptr;
      const ncclResult_t result = ncclCommInitRankConfig(&comm, 2, id, rank, &config);
      EXPECT(result == (two_hosts ? ncclSuccess : ncclInvalidUsage));
      if (!two_hosts) EXPECT(std::strstr(ncclGetLastError(nullptr), "Duplicate GPU"));
      if (two_hosts) EXPECT(ncclCommDestroy(comm) == ncclSuccess);
    });
    REQUIRE(codes == Codes(2, 0));
  }
}

TEST_CASE("a network interface that is not there is refused") {
  ncclUniqueId id;
  setenv("NCCL_SOCKET_IFNAME", "=nosuchcard0", 1);
  CHECK(ncclGetUniqueId(&id) == ncclInvalidUsage);
  setenv("NCCL_SOCKET_IFNAME", "lo", 1);
  CHECK(ncclGetUniqueId(&id) == ncclSuccess);
  unsetenv("NCCL_SOCKET_IFNAME");
}

TEST_CASE("buffers of the host and buffers that overlap in part are refused") {
  const Codes codes = run_ranks(1, [](int rank, const ncclUniqueId& id) {
    ncclComm_t comm = connect(rank, 1, id);
    const Buffer<float> a(std::vector<float>(16, 1.0f));
    float host[4] = {};
    EXPECT(ncclAllReduce(host, a.data, 4, ncclFloat, ncclSum, comm, nullptr) == ncclInvalidArgument);
    EXPECT(ncclAllReduce(a.data, a.at(2), 4, ncclFloat, ncclSum, comm, nullptr) == ncclInvalidUsage);
    EXPECT(ncclAllReduce(a.data, a.at(4), 4, ncclFloat, ncclSum, comm, nullptr) == ncclSuccess);
    EXPECT(ncclAllReduce(a.data, a.data, 4, ncclFloat, ncclMax, comm, nullptr) == ncclInvalidArgument);
    EXPECT(ncclCommDestroy(comm) == ncclSuccess);
    EXPECT(ncclAllReduce(a.data, a.data, 4, ncclFloat, ncclSum, comm, nullptr) == ncclInvalidArgument);
  });
  REQUIRE(codes == Codes(1, 0));
}

TEST_CASE("memory of NCCL is registered and freed once") {
  const Codes codes = run_ranks(1, [](int rank, const ncclUniqueId& id) {
    ncclComm_t comm = connect(rank, 1, id);
    void *memory = nullptr, *handle = nullptr;
    EXPECT(ncclMemAlloc(&memory, 1000) == ncclSuccess);
    EXPECT(ncclCommRegister(comm, memory, 1000, &handle) == ncclSuccess);
    EXPECT(ncclCommDeregister(comm, handle) == ncclSuccess);
    EXPECT(ncclCommDeregister(comm, handle) == ncclInvalidArgument);
    EXPECT(ncclMemFree(memory) == ncclSuccess);
    EXPECT(ncclMemFree(memory) == ncclInvalidArgument);
  });
  REQUIRE(codes == Codes(1, 0));
}

TEST_CASE("a split has ranks by key, collectives of its own beside the others', and outlives nothing") {
  const Codes codes = run_ranks(4, [](int rank, const ncclUniqueId& id) {
    ncclComm_t all = connect(rank, 4, id), pair = nullptr, none = nullptr;
    // even and odd ranks, the higher one first
    EXPECT(ncclCommSplit(all, rank % 2, -rank, &pair, nullptr) == ncclSuccess);
    EXPECT(ncclCommSplit(all, rank == 3 ? 0 : NCCL_SPLIT_NOCOLOR, 0, &none, nullptr) == ncclSuccess);
    EXPECT((none != nullptr) == (rank == 3));
    const Stream on, beside;
    const Buffer<float> values(std::vector<float>(5, static_cast<float>(1 << rank))),
        whole(std::vector<float>(5, 1.0f));
    const Buffer<float> from_first(std::vector<float>(5, static_cast<float>(rank)));
    EXPECT(ncclAllReduce(whole.data, whole.data, 5, ncclFloat, ncclSum, all, beside.stream) == ncclSuccess);
    EXPECT(ncclAllReduce(values.data, values.data, 5, ncclFloat, ncclSum, pair, on.stream) == ncclSuccess);
    EXPECT(ncclBroadcast(from_first.data, from_first.data, 5, ncclFloat, 0, pair, on.stream) == ncclSuccess);
    on.wait();
    beside.wait();
    EXPECT(values.fetch() == std::vector<float>(5, rank % 2 == 0 ? 5.0f : 10.0f));
    EXPECT(from_first.fetch() == std::vector<float>(5, rank % 2 == 0 ? 2.0f : 3.0f));
    EXPECT(whole.fetch() == std::vector<float>(5, 4.0f));
    EXPECT(ncclCommSplit(all, -7, 0, &none, nullptr) == ncclInvalidArgument);
    EXPECT(ncclCommDestroy(none) == ncclSuccess);
    EXPECT(ncclCommDestroy(pair) == ncclSuccess);
    EXPECT(ncclCommDestroy(all) == ncclSuccess);
  });
  REQUIRE(codes == Codes(4, 0));
}
