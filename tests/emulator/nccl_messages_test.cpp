// ncclSend and ncclRecv of the emulated NCCL: alone, in groups, in graphs, and as they fail.
#include <atomic>
#include <cstring>

#include "tests/emulator/nccl_ranks.h"

using namespace gpumonth::tests;

namespace {

std::vector<float> numbers(int from, std::size_t count) {
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i) values[i] = static_cast<float>(i % 1021) + 2000.0f * static_cast<float>(from);
  return values;
}

/// Share s of every rank's values goes to rank s.
void all_to_all(ncclComm_t comm, int size, const float* sent, float* received, std::size_t share, cudaStream_t stream) {
  EXPECT(ncclGroupStart() == ncclSuccess);
  for (int r = 0; r < size; ++r) {
    const std::size_t at = static_cast<std::size_t>(r) * share;
    EXPECT(ncclSend(sent + at, share, ncclFloat, r, comm, stream) == ncclSuccess);
    EXPECT(ncclRecv(received + at, share, ncclFloat, r, comm, stream) == ncclSuccess);
  }
  EXPECT(ncclGroupEnd() == ncclSuccess);
}

std::vector<float> expected(int rank, int size, std::size_t share) {
  std::vector<float> values;
  for (int r = 0; r < size; ++r) {
    const auto theirs = numbers(r, static_cast<std::size_t>(size) * share);
    const auto begin = theirs.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(rank) * share);
    values.insert(values.end(), begin, begin + static_cast<std::ptrdiff_t>(share));
  }
  return values;
}

}  // namespace

TEST_CASE("grouped messages of any size are an all-to-all") {
  for (const int size : {1, 2, 3, 4}) {
    INFO(size << " ranks");
    const Codes codes = run_ranks(size, [size](int rank, const ncclUniqueId& id) {
      ncclComm_t comm = connect(rank, size, id);
      const Stream on;
      for (const std::size_t share : {std::size_t{0}, std::size_t{1}, std::size_t{1000}, std::size_t{300001}}) {
        const auto n = static_cast<std::size_t>(size);
        const Buffer<float> sent(numbers(rank, n * share)), received(std::vector<float>(n * share, -1.0f));
        all_to_all(comm, size, static_cast<float*>(sent.data), static_cast<float*>(received.data), share, on.stream);
        on.wait();
        EXPECT(received.fetch() == expected(rank, size, share));
      }
      EXPECT(ncclCommDestroy(comm) == ncclSuccess);
    });
    REQUIRE(codes == Codes(static_cast<std::size_t>(size), 0));
  }
}

TEST_CASE("messages without a group go one after the other, others' collectives around them") {
  const Codes codes = run_ranks(3, [](int rank, const ncclUniqueId& id) {
    ncclComm_t comm = connect(rank, 3, id);
    const Stream on;
    const Buffer<float> a(numbers(rank, 500)), b(std::vector<float>(500, -1.0f)), one(std::vector<float>(1, 1.0f));
    for (int turn = 0; turn < 2; ++turn) {
      if (rank == 0) EXPECT(ncclSend(a.data, 500, ncclFloat, 1, comm, on.stream) == ncclSuccess);
      if (rank == 0) EXPECT(ncclRecv(b.data, 500, ncclFloat, 1, comm, on.stream) == ncclSuccess);
      if (rank == 1) EXPECT(ncclRecv(b.data, 500, ncclFloat, 0, comm, on.stream) == ncclSuccess);
      if (rank == 1) EXPECT(ncclSend(a.data, 500, ncclFloat, 0, comm, on.stream) == ncclSuccess);
      EXPECT(ncclAllReduce(one.data, one.data, 1, ncclFloat, ncclSum, comm, on.stream) == ncclSuccess);
    }
    on.wait();
    if (rank < 2) EXPECT(b.fetch() == numbers(1 - rank, 500));
    EXPECT(one.fetch()[0] == 9.0f);
    EXPECT(ncclCommDestroy(comm) == ncclSuccess);
  });
  REQUIRE(codes == Codes(3, 0));
}

TEST_CASE("messages between the same ranks come in the order of the calls") {
  const Codes codes = run_ranks(2, [](int rank, const ncclUniqueId& id) {
    ncclComm_t comm = connect(rank, 2, id);
    const Stream on;
    const Buffer<float> first(numbers(rank, 7)), second(numbers(rank + 2, 7));
    EXPECT(ncclGroupStart() == ncclSuccess);
    for (const Buffer<float>* buffer : {&first, &second}) {
      if (rank == 0) EXPECT(ncclSend(buffer->data, 7, ncclFloat, 1, comm, on.stream) == ncclSuccess);
      if (rank == 1) EXPECT(ncclRecv(buffer->data, 7, ncclFloat, 0, comm, on.stream) == ncclSuccess);
    }
    EXPECT(ncclGroupEnd() == ncclSuccess);
    on.wait();
    EXPECT(first.fetch() == numbers(0, 7));
    EXPECT(second.fetch() == numbers(2, 7));
    EXPECT(ncclCommDestroy(comm) == ncclSuccess);
  });
  REQUIRE(codes == Codes(2, 0));
}

TEST_CASE("a captured group sends again with each launch") {
  const Codes codes = run_ranks(2, [](int rank, const ncclUniqueId& id) {
    ncclComm_t comm = connect(rank, 2, id);
    const Stream on;
    const Buffer<float> sent(numbers(rank, 20)), received(std::vector<float>(20, -1.0f));
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t launchable = nullptr;
    EXPECT(cudaStreamBeginCapture(on.stream, cudaStreamCaptureModeThreadLocal) == cudaSuccess);
    all_to_all(comm, 2, static_cast<float*>(sent.data), static_cast<float*>(received.data), 10, on.stream);
    EXPECT(cudaStreamEndCapture(on.stream, &graph) == cudaSuccess);
    EXPECT(cudaGraphInstantiate(&launchable, graph, 0) == cudaSuccess);
    EXPECT(cudaGraphDestroy(graph) == cudaSuccess);
    for (int turn = 0; turn < 3; ++turn) {
      EXPECT(cudaMemsetAsync(received.data, 0xff, 80, on.stream) == cudaSuccess);
      EXPECT(cudaGraphLaunch(launchable, on.stream) == cudaSuccess);
      on.wait();
      EXPECT(received.fetch() == expected(rank, 2, 10));
    }
    EXPECT(cudaGraphExecDestroy(launchable) == cudaSuccess);
    EXPECT(ncclCommDestroy(comm) == ncclSuccess);
  });
  REQUIRE(codes == Codes(2, 0));
}

TEST_CASE("a message that is received as another is an error on both ranks") {
  const Codes codes = run_ranks(2, [](int rank, const ncclUniqueId& id) {
    ncclComm_t comm = connect(rank, 2, id);
    const Stream on;
    const Buffer<float> a(std::vector<float>(6, 1.0f));
    if (rank == 0) EXPECT(ncclSend(a.data, 6, ncclFloat, 1, comm, on.stream) == ncclSuccess);
    if (rank == 1) EXPECT(ncclRecv(a.data, 5, ncclFloat, 0, comm, on.stream) == ncclSuccess);
    EXPECT(abort_on_error(comm, on) == ncclInvalidUsage);
    EXPECT(std::strstr(ncclGetLastError(nullptr), "Send of 6 elements"));
  });
  REQUIRE(codes == Codes(2, 0));
}

TEST_CASE("two ranks that both send first, without a group, wait for ever") {
  const Codes codes = run_ranks(2, [](int rank, const ncclUniqueId& id) {
    ncclComm_t comm = connect(rank, 2, id);
    const Stream on;
    const Buffer<float> a(std::vector<float>(6, 1.0f)), b(std::vector<float>(6, -1.0f));
    EXPECT(ncclSend(a.data, 6, ncclFloat, 1 - rank, comm, on.stream) == ncclSuccess);
    EXPECT(ncclRecv(b.data, 6, ncclFloat, 1 - rank, comm, on.stream) == ncclSuccess);
    std::atomic<bool> ended{false};
    std::thread watch([&] {
      std::this_thread::sleep_for(500ms);
      EXPECT(!ended);
      ncclCommAbort(comm);
    });
    on.wait();
    ended = true;
    watch.join();
  });
  REQUIRE(codes == Codes(2, 0));
}

TEST_CASE("a peer that ends is an error of whoever waits for its message") {
  const Codes codes = run_ranks(3, [](int rank, const ncclUniqueId& id) {
    ncclComm_t comm = connect(rank, 3, id);
    if (rank == 1) return;
    const Stream on;
    const Buffer<float> a(std::vector<float>(6, 1.0f));
    if (rank == 0) EXPECT(ncclSend(a.data, 6, ncclFloat, 1, comm, on.stream) == ncclSuccess);
    if (rank == 2) EXPECT(ncclRecv(a.data, 6, ncclFloat, 1, comm, on.stream) == ncclSuccess);
    EXPECT(abort_on_error(comm, on) == ncclRemoteError);
  });
  REQUIRE(codes == Codes(3, 0));
}

TEST_CASE("messages of host memory and to ranks that are not there are refused") {
  const Codes codes = run_ranks(1, [](int rank, const ncclUniqueId& id) {
    ncclComm_t comm = connect(rank, 1, id);
    const Buffer<float> a(std::vector<float>(6, 1.0f));
    float host[4] = {};
    EXPECT(ncclSend(host, 4, ncclFloat, 0, comm, nullptr) == ncclInvalidArgument);
    EXPECT(ncclRecv(host, 4, ncclFloat, 0, comm, nullptr) == ncclInvalidArgument);
    EXPECT(ncclSend(a.data, 4, ncclFloat, 1, comm, nullptr) == ncclInvalidArgument);
    EXPECT(ncclRecv(a.data, 4, ncclFloat, -1, comm, nullptr) == ncclInvalidArgument);
    EXPECT(ncclCommDestroy(comm) == ncclSuccess);
  });
  REQUIRE(codes == Codes(1, 0));
}
