// Ranks of the emulated NCCL for its tests: processes that each test case forks, with an emulated GPU each. What a rank
// finds wrong it prints, and ends with a status other than 0.
#pragma once

#include <cuda_runtime.h>
#include <nccl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <thread>
#include <vector>

#include "tests/catch.h"

namespace gpumonth::tests {

using namespace std::chrono_literals;

struct Wrong {};  // thrown in a rank, which has no Catch2

#define EXPECT(condition)                                                                           \
  do {                                                                                              \
    if (!(condition)) {                                                                             \
      std::fprintf(stderr, "rank %d, line %d: not %s (NCCL: %s)\n", the_rank, __LINE__, #condition, \
                   ncclGetLastError(nullptr));                                                      \
      throw Wrong{};                                                                                \
    }                                                                                               \
  } while (false)

inline int the_rank = -1;

/// Forks `size` ranks that run `body`; the exit status of each, 128 + signal where one ended it. After
/// `limit` all are killed.
inline std::vector<int> run_ranks(int size, const std::function<void(int rank, const ncclUniqueId&)>& body,
                                  std::chrono::seconds limit = 60s) {
  ncclUniqueId id;
  REQUIRE(ncclGetUniqueId(&id) == ncclSuccess);
  std::vector<pid_t> pids;
  for (int rank = 0; rank < size; ++rank) {
    const pid_t pid = fork();
    if (pid == 0) {
      the_rank = rank;
      setenv("GPUMONTH_EMULATED_GPUS", "8", 0);
      try {
        body(rank, id);
      } catch (const Wrong&) {
        _exit(1);
      }
      _exit(0);
    }
    pids.push_back(pid);
  }
  std::vector<int> codes(pids.size(), -1);
  const auto end = std::chrono::steady_clock::now() + limit;
  for (std::size_t left = pids.size(); left > 0; std::this_thread::sleep_for(1ms)) {
    for (std::size_t i = 0; i < pids.size(); ++i) {
      int status = 0;
      if (codes[i] >= 0 || waitpid(pids[i], &status, WNOHANG) != pids[i]) continue;
      codes[i] = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
      --left;
    }
    if (std::chrono::steady_clock::now() > end)
      for (std::size_t i = 0; i < pids.size(); ++i)
        if (codes[i] < 0) kill(pids[i], SIGKILL);
  }
  return codes;
}

inline ncclComm_t connect(int rank, int size, const ncclUniqueId& id) {
  EXPECT(cudaSetDevice(rank) == cudaSuccess);
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  ncclComm_t comm = nullptr;
  EXPECT(ncclCommInitRankConfig(&comm, size, id, rank, &config) == ncclSuccess);
  return comm;
}

template <class T>
struct Buffer {  // on the GPU
  explicit Buffer(const std::vector<T>& values) : count(values.size()) {
    EXPECT(cudaMalloc(&data, std::max<std::size_t>(1, count) * sizeof(T)) == cudaSuccess);
    EXPECT(cudaMemcpy(data, values.data(), count * sizeof(T), cudaMemcpyHostToDevice) == cudaSuccess);
  }
  ~Buffer() { cudaFree(data); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  std::vector<T> fetch() const {
    std::vector<T> values(count);
    EXPECT(cudaMemcpy(values.data(), data, count * sizeof(T), cudaMemcpyDeviceToHost) == cudaSuccess);
    return values;
  }
  T* at(std::size_t i) const { return static_cast<T*>(data) + i; }

  std::size_t count;
  void* data = nullptr;
};

struct Stream {
  Stream() { EXPECT(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) == cudaSuccess); }
  ~Stream() { cudaStreamDestroy(stream); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  void wait() const { EXPECT(cudaStreamSynchronize(stream) == cudaSuccess); }
  cudaStream_t stream = nullptr;
};

inline ncclResult_t wait_for_error(ncclComm_t comm) {
  ncclResult_t error = ncclSuccess;
  for (int i = 0; i < 2000 && error == ncclSuccess; ++i) {
    std::this_thread::sleep_for(5ms);
    EXPECT(ncclCommGetAsyncError(comm, &error) == ncclSuccess);
  }
  return error;
}

/// Waits for `on` while another thread waits for an error of `comm` and aborts it; the error.
inline ncclResult_t abort_on_error(ncclComm_t comm, const Stream& on) {
  ncclResult_t error = ncclSuccess;
  std::thread watch([&] {
    error = wait_for_error(comm);
    ncclCommAbort(comm);
  });
  on.wait();
  watch.join();
  return error;
}

using Codes = std::vector<int>;

}  // namespace gpumonth::tests
