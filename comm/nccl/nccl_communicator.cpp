#include "comm/nccl/nccl_communicator.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "base/error.h"
#include "comm/nccl/gpu_assignment.h"
#include "comm/nccl/nccl_exchange.h"
#include "comm/nccl/nccl_reducer.h"
#include "comm/nccl/nccl_shard_reducer.h"
#include "comm/nccl/nccl_timed.h"
#include "machine/cuda_devices.h"

namespace gpumonth::comm {
namespace {

constexpr double kLongestStart_s = 60;

RankGpu this_rank(int local_rank, int& device) {
  RankGpu mine;
  char name[256] = "?";
  gethostname(name, sizeof name - 1);
  mine.host = name;
  const machine::CudaDevices found = machine::cuda_devices();
  mine.why_none = found.why_none;
  mine.visible = static_cast<int>(found.devices.size());
  if (mine.visible == 0) return mine;
  device = choose_gpu(local_rank, mine.visible);
  mine.name = found.devices[device].name;
  mine.uuid = found.devices[device].uuid;
  if (const cudaError_t status = cudaSetDevice(device); status != cudaSuccess)
    mine.why_none = fmt::format("GPU {} cannot be used: {}", device, cudaGetErrorString(status));
  return mine;
}

/// NCCL refuses two ranks on one GPU of one host, so each rank claims to be a host of its own, and they talk
/// over sockets. Read by NCCL at its first call.
void pretend_to_be_hosts(const RankGpu& mine, int rank) {
  setenv("NCCL_HOSTID", fmt::format("{}-rank-{}", mine.host, rank).c_str(), 1);
  setenv("NCCL_NET", "Socket", 0);
  setenv("NCCL_MNNVL_ENABLE", "0", 0);
  setenv("NCCL_NVLS_ENABLE", "0", 0);
}

}  // namespace

bool nccl_is_built() { return true; }

void require_nccl() {
  const machine::CudaDevices found = machine::cuda_devices();
  if (found.devices.empty())
    user_error("comm.transport = \"nccl\": {}; use \"auto\" or \"mpi\", or a machine with a GPU", found.why_none);
}

std::unique_ptr<Transport> make_nccl_transport(std::unique_ptr<Communicator> host, std::shared_ptr<Watchdog> watchdog,
                                               const NcclOptions& options) {
  int device = 0;
  const RankGpu mine = this_rank(host->local_rank(), device);
  std::vector<RankGpu> all;
  for (const std::string& text : host->all_gather(mine.to_text())) all.push_back(RankGpu::from_text(text));
  check_gpus(all, options.allow_shared_gpu);
  if (shares_gpu(all)) pretend_to_be_hosts(mine, host->rank());
  const double deadline_s = options.watchdog_s > 0 ? std::min(options.watchdog_s, kLongestStart_s) : kLongestStart_s;
  return std::make_unique<NcclTransport>(std::move(host), std::move(watchdog), device, mine.name, deadline_s);
}

NcclTransport::NcclTransport(std::unique_ptr<Communicator> host, std::shared_ptr<Watchdog> watchdog, int device,
                             std::string device_name, double deadline_s)
    : Transport("nccl", std::move(host)), device_(device), device_name_(std::move(device_name)),
      nccl_(std::make_shared<NcclRanks>(ranks(), device, deadline_s)),
      step_watch_(std::make_shared<NcclStepWatch>(ranks().size() > 1 ? watchdog : nullptr, nccl_)),
      watch_(std::make_unique<NcclWatch>(nccl_)) {
  set_watchdog(std::move(watchdog));
}

NcclTransport::~NcclTransport() {
  watch_.reset();
  for (Part& part : parts_) part.watch.reset();
  step_watch_->enter("ncclCommDestroy");  // waits for the other ranks
  parts_.clear();
  nccl_.reset();
  step_watch_->leave();
}

std::string NcclTransport::description() const {
  if (ranks().size() == 1) return fmt::format("one rank on {}", device_name_);
  return fmt::format("NCCL {}, {} x {}, {} on this host; host memory: {}", nccl_version(), ranks().size(), device_name_,
                     ranks().local_size(), ranks().description());
}

std::shared_ptr<float[]> NcclTransport::allocate(std::int64_t count) {
  const std::size_t bytes = sizeof(float) * static_cast<std::size_t>(std::max<std::int64_t>(count, 1));
  const ncclComm_t handle = nccl_->handle();
  void *memory = nullptr, *registration = nullptr;
  const bool of_nccl = handle && ncclMemAlloc(&memory, bytes) == ncclSuccess;
  if (!of_nccl) {
    cudaGetLastError();  // what ncclMemAlloc may have left
    GPUMONTH_CUDA(cudaMalloc, &memory, bytes);
  }
  // Without registration NCCL copies through buffers of its own: slower, not wrong. Its guide wants all ranks
  // to register or none, and warns of memory that is not its own.
  const bool registered = of_nccl && ncclCommRegister(handle, memory, bytes, &registration) == ncclSuccess;
  if (!registered) cudaGetLastError();
  if (!ranks().all_ranks(registered) && registered) {
    ncclCommDeregister(handle, registration);
    registration = nullptr;
  }
  GPUMONTH_CUDA(cudaMemset, memory, 0, bytes);
  GPUMONTH_CUDA(cudaDeviceSynchronize);
  return {static_cast<float*>(memory), [nccl = nccl_, of_nccl, registration](float* p) {
            if (registration) ncclCommDeregister(nccl->handle(), registration);
            if (of_nccl) {
              ncclMemFree(p);
            } else {
              cudaFree(p);
            }
          }};
}

std::unique_ptr<GradientReducer> NcclTransport::make_reducer(float* gradients, std::vector<Segment> segments,
                                                             std::int64_t bucket_bytes, void* stream,
                                                             const ReducerOptions& options) {
  if (options.full) {
    const int shards = options.full->layout.ranks();
    const bool all = shards == ranks().size();
    return std::make_unique<NcclShardReducer>(all ? nccl_ : group(shards), all ? nullptr : counterparts(shards),
                                              step_watch_, static_cast<cudaStream_t>(stream), options);
  }
  return std::make_unique<NcclReducer>(nccl_, step_watch_, gradients, std::move(segments), bucket_bytes,
                                       static_cast<cudaStream_t>(stream), options);
}

std::unique_ptr<Exchange> NcclTransport::make_exchange(int group_ranks, void* stream) {
  return std::make_unique<NcclExchange>(group(group_ranks), static_cast<cudaStream_t>(stream));
}

std::shared_ptr<NcclRanks> NcclTransport::group(int n) { return split(ranks().rank() / n, ranks().rank() % n, n); }
std::shared_ptr<NcclRanks> NcclTransport::counterparts(int n) {
  return split(ranks().rank() % n, ranks().rank() / n, ranks().size() / n);
}

/// Under the step's watch, which names ranks that do not come.
std::shared_ptr<NcclRanks> NcclTransport::split(int colour, int rank, int size) {
  step_watch_->enter("ncclCommSplit");
  auto part = std::make_shared<NcclRanks>(*nccl_, colour, rank, size);
  step_watch_->leave();
  parts_.push_back({part, std::make_unique<NcclWatch>(part)});
  return part;
}

std::unique_ptr<TimedCollective> NcclTransport::make_timed(const Collective& operation, std::int64_t count) {
  auto received = allocate(count);
  auto sent = operation.in_place ? received : allocate(count);
  return std::make_unique<NcclTimed>(nccl_, step_watch_, operation, std::move(received), std::move(sent));
}

}  // namespace gpumonth::comm
