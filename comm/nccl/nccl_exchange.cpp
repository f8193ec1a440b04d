#include "comm/nccl/nccl_exchange.h"

#include <fmt/format.h>

#include <stdexcept>

#include "comm/nccl/nccl_group.h"
#include "machine/cuda_check.h"

namespace gpumonth::comm {
namespace {

/// Under the step's watch, which names ranks that do not come.
std::shared_ptr<NcclRanks> split_watched(const NcclRanks& all, NcclStepWatch& watch, int group_ranks) {
  watch.enter("ncclCommSplit");
  auto group = std::make_shared<NcclRanks>(all, group_ranks);
  watch.leave();
  return group;
}

}  // namespace

NcclExchange::NcclExchange(const NcclRanks& all, std::shared_ptr<NcclStepWatch> watch, int group_ranks,
                           cudaStream_t stream)
    : step_watch_(std::move(watch)), group_(split_watched(all, *step_watch_, group_ranks)),
      watch_(std::make_unique<NcclWatch>(group_)), stream_(stream) {}

NcclExchange::~NcclExchange() {
  watch_.reset();
  step_watch_->enter("ncclCommDestroy");  // waits for the other ranks
  group_.reset();
  step_watch_->leave();
}

std::shared_ptr<std::byte[]> NcclExchange::allocate(std::int64_t bytes) {
  void* memory = nullptr;
  GPUMONTH_CUDA(cudaMalloc, &memory, static_cast<std::size_t>(bytes));
  std::shared_ptr<std::byte[]> owned(static_cast<std::byte*>(memory), [](std::byte* p) { cudaFree(p); });
  GPUMONTH_CUDA(cudaMemset, memory, 0, static_cast<std::size_t>(bytes));
  GPUMONTH_CUDA(cudaDeviceSynchronize);
  return owned;
}

void NcclExchange::run(const void* sent, void* received, std::int64_t bytes) {
  const std::int64_t share = bytes / size();
  if (bytes % (4 * std::int64_t{size()}) != 0)
    throw std::invalid_argument(fmt::format("{} bytes are no equal shares of {} ranks in whole floats", bytes, size()));
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  GPUMONTH_CUDA(cudaStreamIsCapturing, stream_, &status);
  const ThrowErrors errors(status != cudaStreamCaptureStatusNone);
  const auto count = static_cast<std::size_t>(share / 4);
  NcclGroup calls;
  for (int r = 0; r < size(); ++r) {
    GPUMONTH_NCCL(ncclSend, static_cast<const std::byte*>(sent) + r * share, count, ncclFloat, r, group_->handle(),
                  stream_);
    GPUMONTH_NCCL(ncclRecv, static_cast<std::byte*>(received) + r * share, count, ncclFloat, r, group_->handle(),
                  stream_);
  }
  calls.end();
}

}  // namespace gpumonth::comm
