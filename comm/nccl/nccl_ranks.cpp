#include "comm/nccl/nccl_ranks.h"

#include <fmt/format.h>

#include <chrono>
#include <exception>

#include "comm/abort.h"

namespace gpumonth::comm {
namespace {

struct Connection {
  std::mutex mutex;
  std::condition_variable changed;
  bool done = false;
  ncclResult_t result = ncclInProgress;
  ncclComm_t handle = nullptr;
};

/// In a thread of its own, with a deadline. NCCL's non-blocking mode would give a deadline too, but there
/// each later collective is enqueued by another thread at some later time, and the event recorded right
/// behind it may come first.
ncclComm_t connect(const ncclUniqueId& id, int rank, int size, int device, double deadline_s) {
  const auto connection = std::make_shared<Connection>();
  std::thread([connection, id, rank, size, device] {
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 1;
    ncclComm_t handle = nullptr;
    const ncclResult_t result = cudaSetDevice(device) == cudaSuccess
                                    ? ncclCommInitRankConfig(&handle, size, id, rank, &config)
                                    : ncclUnhandledCudaError;
    const std::lock_guard lock(connection->mutex);
    connection->handle = handle;
    connection->result = result;
    connection->done = true;
    connection->changed.notify_all();
  }).detach();

  std::unique_lock lock(connection->mutex);
  if (!connection->changed.wait_for(lock, std::chrono::duration<double>(deadline_s),
                                    [&] { return connection->done; })) {
    abort_job(
        fmt::format("{}ncclCommInitRankConfig: {} ranks not connected after {:.0f} s: {} - a rank that did not get "
                    "here, or no network between the hosts (NCCL_SOCKET_IFNAME names the interface to use); "
                    "NCCL_DEBUG=INFO says more",
                    rank_prefix(), size, deadline_s, nccl_text(ncclInProgress)),
        1);
  }
  check_nccl(connection->result, "ncclCommInitRankConfig", __FILE__, __LINE__);
  return connection->handle;
}

}  // namespace

NcclRanks::NcclRanks(Communicator& host, int device, double deadline_s)
    : rank_(host.rank()), size_(host.size()), exceptions_(std::uncaught_exceptions()) {
  if (size_ == 1) return;
  ncclUniqueId id{};
  if (rank_ == 0) GPUMONTH_NCCL(ncclGetUniqueId, &id);
  host.broadcast({reinterpret_cast<std::byte*>(&id), sizeof id}, 0);
  handle_ = connect(id, rank_, size_, device, deadline_s);
}

NcclRanks::NcclRanks(const NcclRanks& all, int colour, int rank, int size)
    : rank_(rank), size_(size), exceptions_(std::uncaught_exceptions()) {
  if (size_ == 1) return;
  GPUMONTH_NCCL(ncclCommSplit, all.handle_, colour, all.rank_, &handle_, nullptr);
}

NcclRanks::~NcclRanks() {
  if (!handle_ || aborted_) return;
  if (std::uncaught_exceptions() > exceptions_) {
    abort();
  } else {
    ncclCommDestroy(handle_);
  }
}

void NcclRanks::abort() {
  const std::lock_guard lock(mutex_);
  if (handle_ && !aborted_) ncclCommAbort(handle_);
  aborted_ = true;
}

ncclResult_t NcclRanks::async_error() {
  const std::lock_guard lock(mutex_);
  if (!handle_ || aborted_) return ncclSuccess;
  ncclResult_t state = ncclSuccess;
  const ncclResult_t asked = ncclCommGetAsyncError(handle_, &state);
  return asked != ncclSuccess ? asked : state;
}

NcclWatch::NcclWatch(std::shared_ptr<NcclRanks> ranks) : ranks_(std::move(ranks)) {
  if (ranks_->handle()) thread_ = std::thread([this] { run(); });
}

NcclWatch::~NcclWatch() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void NcclWatch::run() {
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, std::chrono::milliseconds(250), [&] { return stop_; })) {
    const ncclResult_t result = ranks_->async_error();
    if (result == ncclSuccess || result == ncclInProgress) continue;
    // A peer that failed by a fault of its own says so itself, and more precisely: let it speak first.
    if (result == ncclRemoteError) std::this_thread::sleep_for(std::chrono::seconds(1));
    abort_job(fmt::format("{}NCCL: {} - a rank, host or link went down; look for the rank that ended first",
                          rank_prefix(), nccl_text(result)),
              1, [ranks = ranks_] { ranks->abort(); });
  }
}

NcclStepWatch::NcclStepWatch(std::shared_ptr<Watchdog> watchdog, const std::shared_ptr<NcclRanks>& ranks)
    : watchdog_(std::move(watchdog)) {
  if (!watchdog_) return;
  const std::weak_ptr<NcclRanks> weak = ranks;  // the watchdog outlives them
  const auto details = [weak]() -> std::string {
    const auto connected = weak.lock();
    if (!connected) return "NCCL is closing";
    return "NCCL reports: " + nccl_text(connected->async_error());
  };
  const auto release = [weak] {
    if (const auto connected = weak.lock()) connected->abort();
  };
  channel_ = watchdog_->add_channel("NCCL", {.details = details, .release = release});
}

void NcclStepWatch::enter(const char* what, std::int64_t bytes) {
  if (watchdog_) watchdog_->enter(channel_, what, bytes);
}
void NcclStepWatch::leave() {
  if (watchdog_) watchdog_->leave(channel_);
}

}  // namespace gpumonth::comm
