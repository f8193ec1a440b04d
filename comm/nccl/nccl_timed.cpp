#include "comm/nccl/nccl_timed.h"

namespace gpumonth::comm {

NcclTimedAllReduce::NcclTimedAllReduce(std::shared_ptr<NcclRanks> ranks, std::shared_ptr<NcclStepWatch> watch,
                                       std::shared_ptr<float[]> memory, std::int64_t)
    : ranks_(std::move(ranks)), watch_(std::move(watch)), memory_(std::move(memory)) {}

// Nothing is under way on stream_ between calls, as run() waits.
void NcclTimedAllReduce::write(std::span<const float> values) {
  GPUMONTH_CUDART(cudaMemcpy, memory_.get(), values.data(), values.size_bytes(), cudaMemcpyHostToDevice);
}

void NcclTimedAllReduce::read(std::span<float> values) {
  GPUMONTH_CUDART(cudaMemcpy, values.data(), memory_.get(), values.size_bytes(), cudaMemcpyDeviceToHost);
}

void NcclTimedAllReduce::clear(std::int64_t count) {
  GPUMONTH_CUDART(cudaMemset, memory_.get(), 0, sizeof(float) * static_cast<std::size_t>(count));
  GPUMONTH_CUDART(cudaDeviceSynchronize);
}

std::vector<double> NcclTimedAllReduce::run(std::int64_t count, int repeats) {
  const auto n = static_cast<std::size_t>(repeats);
  while (marks_.size() <= n) marks_.emplace_back();
  watch_->enter("all-reduce", 4 * count);
  GPUMONTH_CUDART(cudaEventRecord, marks_[0].get(), stream_.get());
  for (std::size_t i = 0; i < n; ++i) {
    if (ranks_->handle()) {
      GPUMONTH_NCCL(ncclAllReduce, memory_.get(), memory_.get(), static_cast<std::size_t>(count), ncclFloat, ncclSum,
                    ranks_->handle(), stream_.get());
    }
    GPUMONTH_CUDART(cudaEventRecord, marks_[i + 1].get(), stream_.get());
  }
  GPUMONTH_CUDART(cudaStreamSynchronize, stream_.get());
  watch_->leave();
  std::vector<double> took_s(n);
  for (std::size_t i = 0; i < n; ++i) {
    float ms = 0;
    GPUMONTH_CUDART(cudaEventElapsedTime, &ms, marks_[i].get(), marks_[i + 1].get());
    took_s[i] = 1e-3 * static_cast<double>(ms);
  }
  return took_s;
}

}  // namespace gpumonth::comm
