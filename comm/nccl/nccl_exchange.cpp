#include "comm/nccl/nccl_exchange.h"

#include "comm/nccl/nccl_group.h"
#include "machine/cuda_check.h"

namespace gpumonth::comm {
std::shared_ptr<std::byte[]> NcclExchange::allocate(std::int64_t bytes) {
  void* memory = nullptr;
  GPUMONTH_CUDA(cudaMalloc, &memory, static_cast<std::size_t>(bytes));
  std::shared_ptr<std::byte[]> owned(static_cast<std::byte*>(memory), [](std::byte* p) { cudaFree(p); });
  GPUMONTH_CUDA(cudaMemset, memory, 0, static_cast<std::size_t>(bytes));
  GPUMONTH_CUDA(cudaDeviceSynchronize);
  return owned;
}

void NcclExchange::run(const void* sent, void* received, std::int64_t bytes) {
  const std::int64_t share = share_bytes(bytes);
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
