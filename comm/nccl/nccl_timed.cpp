#include "comm/nccl/nccl_timed.h"

#include "comm/nccl/nccl_calls.h"
#include "comm/nccl/nccl_group.h"

namespace gpumonth::comm {
namespace {

std::size_t size_of(std::int64_t count) { return static_cast<std::size_t>(count); }

class EnqueuedCalls final : public NcclCalls {
 public:
  EnqueuedCalls(ncclComm_t handle, cudaStream_t stream) : handle_(handle), stream_(stream) {}

  void all_reduce(const float* sent, float* received, std::int64_t count) override {
    GPUMONTH_NCCL(ncclAllReduce, sent, received, size_of(count), ncclFloat, ncclSum, handle_, stream_);
  }
  void reduce_scatter(const float* sent, float* received, std::int64_t share) override {
    GPUMONTH_NCCL(ncclReduceScatter, sent, received, size_of(share), ncclFloat, ncclSum, handle_, stream_);
  }
  void all_gather(const float* sent, float* received, std::int64_t share) override {
    GPUMONTH_NCCL(ncclAllGather, sent, received, size_of(share), ncclFloat, handle_, stream_);
  }
  void send(const float* values, std::int64_t count, int to) override {
    GPUMONTH_NCCL(ncclSend, values, size_of(count), ncclFloat, to, handle_, stream_);
  }
  void receive(float* values, std::int64_t count, int from) override {
    GPUMONTH_NCCL(ncclRecv, values, size_of(count), ncclFloat, from, handle_, stream_);
  }
  void group(const std::function<void()>& calls) override {
    NcclGroup group;
    calls();
    group.end();
  }

 private:
  ncclComm_t handle_;
  cudaStream_t stream_;
};

}  // namespace

NcclTimed::NcclTimed(std::shared_ptr<NcclRanks> ranks, std::shared_ptr<NcclStepWatch> watch,
                     const Collective& operation, std::shared_ptr<float[]> received, std::shared_ptr<float[]> sent)
    : ranks_(std::move(ranks)), watch_(std::move(watch)), operation_(operation), received_(std::move(received)),
      sent_(std::move(sent)) {}

// Nothing is under way on stream_ between calls, as run() waits.
void NcclTimed::write(std::span<const float> values) {
  GPUMONTH_CUDA(cudaMemcpy, sent_.get(), values.data(), values.size_bytes(), cudaMemcpyHostToDevice);
}

void NcclTimed::read(std::span<float> values) {
  GPUMONTH_CUDA(cudaMemcpy, values.data(), received_.get(), values.size_bytes(), cudaMemcpyDeviceToHost);
}

void NcclTimed::clear(std::int64_t count) {
  for (float* memory : {sent_.get(), received_.get()})
    GPUMONTH_CUDA(cudaMemset, memory, 0, sizeof(float) * size_of(count));
  GPUMONTH_CUDA(cudaDeviceSynchronize);
}

/// One rank alone is connected to nobody: what it sends, it has, or copies.
void NcclTimed::enqueue(const CollectiveBuffers& buffers) {
  if (ranks_->handle()) {
    EnqueuedCalls calls(ranks_->handle(), stream_.get());
    operation_.on_nccl(calls, buffers);
  } else if (!operation_.in_place) {
    GPUMONTH_CUDA(cudaMemcpyAsync, buffers.values, buffers.sent, buffers.all_sent().size_bytes(),
                  cudaMemcpyDeviceToDevice, stream_.get());
  }
}

std::vector<double> NcclTimed::run(std::int64_t count, int repeats) {
  const CollectiveBuffers buffers{received_.get(), sent_.get(), count, ranks_->rank(), ranks_->size()};
  const auto n = static_cast<std::size_t>(repeats);
  while (marks_.size() <= n) marks_.emplace_back();
  watch_->enter(operation_.title, 4 * count);
  GPUMONTH_CUDA(cudaEventRecord, marks_[0].get(), stream_.get());
  for (std::size_t i = 0; i < n; ++i) {
    enqueue(buffers);
    GPUMONTH_CUDA(cudaEventRecord, marks_[i + 1].get(), stream_.get());
  }
  GPUMONTH_CUDA(cudaStreamSynchronize, stream_.get());
  watch_->leave();
  std::vector<double> took_s(n);
  for (std::size_t i = 0; i < n; ++i) took_s[i] = seconds_between(marks_[i], marks_[i + 1]);
  return took_s;
}

}  // namespace gpumonth::comm
