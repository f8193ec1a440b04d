// NCCL on the CPU, as far as gpumonth calls it, for ranks that are processes of one host. As in the library,
//   - every rank gets the same bits; fp32 is added in an order that the ranks do not choose, and each partial
//     sum of bf16 is rounded to bf16
//   - the collectives of a communicator run in the order of the calls, whatever streams they are on
//   - two ranks on one GPU are refused, unless NCCL_HOSTID makes them two hosts; so is an NCCL_SOCKET_IFNAME
//     that is not there
//   - ncclCommGetAsyncError tells of a lost rank, while the collective goes on waiting until ncclCommAbort
//   - a send waits for its receive and the other way round; those of one group go on side by side, those between the
//     same two ranks in the order of the calls
// Other than the library, it compares what the ranks call (ncclInvalidUsage), refuses buffers that overlap in
// part, and runs a group's collectives in reverse, as they have no order. Sums only, one communicator and one
// stream a group, no settings in ncclConfig_t.
#include <cuda_runtime.h>
#include <nccl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tests/emulator/emulator.h"
#include "tests/emulator/memory.h"
#include "tests/emulator/nccl_channel.h"

using namespace gpumonth::emulator;

struct ncclComm {
  std::shared_ptr<Channel> channel;  ///< null once it is destroyed or aborted; the handle itself stays, to tell misuse
};

namespace {

std::mutex the_mutex;
std::set<std::string> texts;  // never shrinks: ncclGetLastError() hands out pointers
std::atomic<const char*> last_text{""};
std::set<std::unique_ptr<ncclComm>> handles;
struct Registration {
  ncclComm_t comm;
  const std::byte* buffer;
  std::size_t bytes;
};
std::set<std::unique_ptr<Registration>> registrations;
std::set<void*> allocations;

ncclResult_t failed(ncclResult_t result, const std::string& text) {
  const std::lock_guard lock(the_mutex);
  last_text = texts.insert(text).first->c_str();
  return result;
}

std::shared_ptr<Channel> channel_of(ncclComm_t comm) {
  const std::lock_guard lock(the_mutex);
  return comm ? comm->channel : nullptr;
}
ncclResult_t no_communicator() {
  // The library would read memory that it has freed.
  std::fprintf(stderr, "emulated NCCL: a call with a communicator that has been destroyed or aborted\n");
  return failed(ncclInvalidArgument, "not a communicator, or one that was destroyed or aborted before");
}

bool is_registered(ncclComm_t comm, const void* buffer) {
  const std::lock_guard lock(the_mutex);
  const auto* at = static_cast<const std::byte*>(buffer);
  for (const auto& r : registrations)
    if (r->comm == comm && at >= r->buffer && at < r->buffer + r->bytes) return true;
  return false;
}

struct Group {
  int depth = 0;
  ncclResult_t error = ncclSuccess;
  std::shared_ptr<Channel> channel;
  cudaStream_t stream = nullptr;
  std::vector<Collective> calls;
};
thread_local Group group;

/// A capture that has failed makes NCCL's calls fail, in a group too.
bool capture_is_broken(cudaStream_t stream, bool& captured) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  const cudaError_t asked = cudaStreamIsCapturing(stream, &status);
  captured = status == cudaStreamCaptureStatusActive;
  return asked != cudaSuccess || status == cudaStreamCaptureStatusInvalidated;
}

ncclResult_t launch(const std::shared_ptr<Channel>& channel, cudaStream_t stream, std::vector<Collective> calls) {
  bool captured = false;
  if (capture_is_broken(stream, captured)) return failed(ncclUnhandledCudaError, "the stream's capture has failed");
  const std::lock_guard lock(channel->launching);
  const bool other_stream = !captured && channel->launched && channel->last_stream != stream;
  if (other_stream && cudaStreamWaitEvent(stream, channel->last_launch, 0) != cudaSuccess)
    return failed(ncclUnhandledCudaError, "cudaStreamWaitEvent");
  for (Collective& c : calls) c.call.captured = captured;
  // A graph holds copies of the work, and so of the token.
  enqueue(
      stream, [channel, calls, token = captured ? channel->graphs : nullptr] { channel->run(calls); },
      Waits::for_ranks);
  if (!captured) {
    channel->launched = true;
    channel->last_stream = stream;
    if (cudaEventRecord(channel->last_launch, stream) != cudaSuccess)
      return failed(ncclUnhandledCudaError, "cudaEventRecord");
  }
  return ncclSuccess;
}

ncclResult_t submit(ncclComm_t comm, cudaStream_t stream, Collective c) {
  const auto channel = channel_of(comm);
  ncclResult_t result = channel ? ncclSuccess : no_communicator();
  bool captured = false;
  try {
    if (channel) channel->check(c);
    c.call.registered = is_registered(comm, c.send) && is_registered(comm, c.receive);
    if (capture_is_broken(stream, captured)) result = failed(ncclUnhandledCudaError, "the stream's capture has failed");
  } catch (const NcclError& error) {
    result = failed(error.result, error.what());
  }
  if (group.depth == 0) {
    if (result != ncclSuccess) return result;
    return launch(channel, stream, {c});
  }
  if (result == ncclSuccess && group.channel && (group.channel != channel || group.stream != stream))
    result = failed(ncclInvalidUsage, "one communicator and one stream a group, in the emulator");
  if (result != ncclSuccess) {
    group.error = result;
    return result;
  }
  group.channel = channel;
  group.stream = stream;
  group.calls.push_back(c);
  return ncclSuccess;
}

Collective collective(Kind kind, const void* send, void* receive, std::size_t count, ncclDataType_t type,
                      ncclRedOp_t op, int root) {
  return {
      .call = {.kind = kind, .type = type, .op = op, .root = root, .count = count}, .send = send, .receive = receive};
}

}  // namespace

extern "C" {

ncclResult_t ncclGetVersion(int* version) {
  *version = NCCL_VERSION_CODE;
  return ncclSuccess;
}
const char* ncclGetErrorString(ncclResult_t result) {
  static const char* const names[] = {"no error",
                                      "unhandled cuda error (run with NCCL_DEBUG=INFO for details)",
                                      "unhandled system error (run with NCCL_DEBUG=INFO for details)",
                                      "internal error - please report this issue to the NCCL developers",
                                      "invalid argument (run with NCCL_DEBUG=WARN for details)",
                                      "invalid usage (run with NCCL_DEBUG=WARN for details)",
                                      "remote process exited or there was a network error",
                                      "NCCL operation in progress"};
  return result >= 0 && result < ncclNumResults ? names[result] : "unknown result code";
}
const char* ncclGetLastError(ncclComm_t) { return last_text; }

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  static std::atomic<int> number{0};
  if (!has_interface()) return failed(ncclInvalidUsage, "Bootstrap : no socket interface found");
  *id = {};
  std::snprintf(id->internal, sizeof id->internal, "/gpumonth-nccl-%d-%lld-%d", static_cast<int>(getpid()),
                static_cast<long long>(std::chrono::system_clock::now().time_since_epoch().count()), ++number);
  return ncclSuccess;
}

/// A communicator of what `channel` joins.
static ncclResult_t made(ncclComm_t* comm, std::shared_ptr<Channel> channel) {
  if (cudaEventCreateWithFlags(&channel->last_launch, cudaEventDisableTiming) != cudaSuccess)
    return failed(ncclUnhandledCudaError, "cudaEventCreate");
  auto handle = std::make_unique<ncclComm>();
  handle->channel = std::move(channel);
  *comm = handle.get();
  const std::lock_guard lock(the_mutex);
  handles.insert(std::move(handle));
  return ncclSuccess;
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int size, ncclUniqueId id, int rank, ncclConfig_t* config) {
  if (!comm || size < 1 || size > kMostRanks || rank < 0 || rank >= size || id.internal[0] != '/')
    return failed(ncclInvalidArgument, "ranks, or an id that ncclGetUniqueId() did not make");
  if (config && (config->magic != 0xcafebeef || config->blocking == 0))
    return failed(ncclInvalidArgument, "a config that is not initialised, or not blocking (not emulated)");
  if (group.depth > 0) return failed(ncclInvalidUsage, "ncclCommInitRankConfig in a group is not emulated");
  if (!has_interface()) return failed(ncclInvalidUsage, "Bootstrap : no socket interface found");
  int device = 0;
  char gpu[64] = "";
  if (cudaGetDevice(&device) != cudaSuccess || cudaDeviceGetPCIBusId(gpu, sizeof gpu, device) != cudaSuccess)
    return failed(ncclUnhandledCudaError, "cudaGetDevice");
  try {
    return made(comm, std::make_shared<Channel>(id.internal, rank, size, host_id(), gpu));
  } catch (const NcclError& error) {
    return failed(error.result, error.what());
  }
}

/// "There should not be any outstanding NCCL operations on the comm"; ranks of one colour in the order of their keys, then of
/// their ranks.
ncclResult_t ncclCommSplit(ncclComm_t comm, int color, int key, ncclComm_t* newcomm, ncclConfig_t* config) {
  if (config) return failed(ncclInvalidArgument, "ncclCommSplit with a config is not emulated");
  if (!newcomm || (color < 0 && color != NCCL_SPLIT_NOCOLOR)) return failed(ncclInvalidArgument, "a negative colour");
  if (group.depth > 0) return failed(ncclInvalidUsage, "ncclCommSplit in a group is not emulated");
  const auto all = channel_of(comm);
  if (!all) return no_communicator();
  if (cudaDeviceSynchronize() != cudaSuccess) return failed(ncclUnhandledCudaError, "cudaDeviceSynchronize");
  Seat& mine = all->meeting.seat(all->rank);
  mine.colour = color;
  mine.key = key;
  const auto meet = [&] { return all->meeting.barrier(all->aborted) == Meeting::Outcome::all_here; };
  if (!meet()) return failed(ncclRemoteError, all->meeting.lost_peer());
  int rank = 0, size = 0;
  for (int other = 0; other < all->size; ++other) {
    const Seat& theirs = all->meeting.seat(other);
    if (theirs.colour != color) continue;
    ++size;
    if (theirs.key < key || (theirs.key == key && other < all->rank)) ++rank;
  }
  if (!meet()) return failed(ncclRemoteError, all->meeting.lost_peer());  // before seats are written again
  ++all->splits;
  *newcomm = nullptr;
  if (color == NCCL_SPLIT_NOCOLOR) return ncclSuccess;
  const std::string id = all->id + "-" + std::to_string(all->splits) + "-" + std::to_string(color);
  try {
    return made(newcomm, std::make_shared<Channel>(id, rank, size, mine.host, mine.gpu));
  } catch (const NcclError& error) {
    return failed(error.result, error.what());
  }
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* error) {
  const auto channel = channel_of(comm);
  if (!channel) return no_communicator();
  *error = channel->error;
  if (*error != ncclSuccess) failed(*error, channel->error_text());
  return ncclSuccess;
}

/// Waits for what is enqueued, for graphs that hold collectives, and for the other ranks, as NCCL does.
ncclResult_t ncclCommDestroy(ncclComm_t comm) {
  if (!comm) return ncclSuccess;
  const auto channel = channel_of(comm);
  if (!channel) return no_communicator();
  if (cudaDeviceSynchronize() != cudaSuccess) return failed(ncclUnhandledCudaError, "cudaDeviceSynchronize");
  for (int turn = 0; channel->graphs.use_count() > 1 && !channel->aborted; ++turn) {
    if (turn == 200) std::fprintf(stderr, "emulated NCCL: ncclCommDestroy waits for a CUDA graph to be destroyed\n");
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  if (!channel->aborted) {
    channel->meeting.leave(Presence::destroyed);
    channel->meeting.wait_for_leave(channel->aborted);
  }
  cudaEventDestroy(channel->last_launch);
  const std::lock_guard lock(the_mutex);
  comm->channel = nullptr;
  return ncclSuccess;
}

/// Calls nothing of CUDA: another thread may hold the emulated GPU while it waits in a collective.
ncclResult_t ncclCommAbort(ncclComm_t comm) {
  if (!comm) return ncclSuccess;
  const auto channel = channel_of(comm);
  if (!channel) return no_communicator();
  channel->aborted = true;
  channel->meeting.leave(Presence::aborted);
  while (channel->running > 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  const std::lock_guard lock(the_mutex);
  comm->channel = nullptr;
  return ncclSuccess;
}

ncclResult_t ncclMemAlloc(void** memory, std::size_t bytes) {
  if (cudaMalloc(memory, bytes) != cudaSuccess) return failed(ncclUnhandledCudaError, "cudaMalloc");
  const std::lock_guard lock(the_mutex);
  allocations.insert(*memory);
  return ncclSuccess;
}
ncclResult_t ncclMemFree(void* memory) {
  {
    const std::lock_guard lock(the_mutex);
    if (allocations.erase(memory) == 0 && memory) return ncclInvalidArgument;
  }
  return cudaFree(memory) == cudaSuccess ? ncclSuccess : failed(ncclUnhandledCudaError, "cudaFree");
}
ncclResult_t ncclCommRegister(const ncclComm_t comm, void* buffer, std::size_t bytes, void** handle) {
  if (!channel_of(comm)) return no_communicator();
  if (!on_device(buffer, bytes)) return failed(ncclInvalidArgument, "ncclCommRegister: not the GPU's memory");
  const std::lock_guard lock(the_mutex);
  auto made = std::make_unique<Registration>(Registration{comm, static_cast<std::byte*>(buffer), bytes});
  *handle = made.get();
  registrations.insert(std::move(made));
  return ncclSuccess;
}
ncclResult_t ncclCommDeregister(const ncclComm_t comm, void* handle) {
  if (!channel_of(comm)) return no_communicator();
  const std::lock_guard lock(the_mutex);
  for (auto i = registrations.begin(); i != registrations.end(); ++i) {
    if (i->get() != handle) continue;
    registrations.erase(i);
    return ncclSuccess;
  }
  return ncclInvalidArgument;
}

ncclResult_t ncclGroupStart() {
  if (group.depth++ == 0) group.error = ncclSuccess;
  return ncclSuccess;
}
ncclResult_t ncclGroupEnd() {
  if (group.depth == 0) return failed(ncclInvalidUsage, "ncclGroupEnd without ncclGroupStart");
  if (--group.depth > 0) return ncclSuccess;
  const Group ended = std::move(group);
  group = {};
  if (ended.error != ncclSuccess || ended.calls.empty()) return ended.error;
  return launch(ended.channel, ended.stream, ended.calls);
}

ncclResult_t ncclAllReduce(const void* send, void* receive, std::size_t count, ncclDataType_t type, ncclRedOp_t op,
                           ncclComm_t comm, cudaStream_t stream) {
  return submit(comm, stream, collective(kAllReduce, send, receive, count, type, op, 0));
}
ncclResult_t ncclReduceScatter(const void* send, void* receive, std::size_t count, ncclDataType_t type, ncclRedOp_t op,
                               ncclComm_t comm, cudaStream_t stream) {
  return submit(comm, stream, collective(kReduceScatter, send, receive, count, type, op, 0));
}
ncclResult_t ncclAllGather(const void* send, void* receive, std::size_t count, ncclDataType_t type, ncclComm_t comm,
                           cudaStream_t stream) {
  return submit(comm, stream, collective(kAllGather, send, receive, count, type, ncclSum, 0));
}
ncclResult_t ncclBroadcast(const void* send, void* receive, std::size_t count, ncclDataType_t type, int root,
                           ncclComm_t comm, cudaStream_t stream) {
  return submit(comm, stream, collective(kBroadcast, send, receive, count, type, ncclSum, root));
}
ncclResult_t ncclSend(const void* send, std::size_t count, ncclDataType_t type, int peer, ncclComm_t comm,
                      cudaStream_t stream) {
  return submit(comm, stream, collective(kSend, send, nullptr, count, type, ncclSum, peer));
}
ncclResult_t ncclRecv(void* receive, std::size_t count, ncclDataType_t type, int peer, ncclComm_t comm,
                      cudaStream_t stream) {
  return submit(comm, stream, collective(kReceive, nullptr, receive, count, type, ncclSum, peer));
}

}  // extern "C"
