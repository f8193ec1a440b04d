// NCCL all-reduces in GPU memory, timed by events on their stream.
#pragma once

#include <memory>
#include <vector>

#include "comm/nccl/nccl_cuda.h"
#include "comm/nccl/nccl_ranks.h"
#include "comm/timed_all_reduce.h"

namespace gpumonth::comm {

class NcclTimedAllReduce final : public TimedAllReduce {
 public:
  /// `memory`: `count` floats on the current device.
  NcclTimedAllReduce(std::shared_ptr<NcclRanks> ranks, std::shared_ptr<NcclStepWatch> watch,
                     std::shared_ptr<float[]> memory, std::int64_t count);
  void write(std::span<const float> values) override;
  void read(std::span<float> values) override;
  void clear(std::int64_t count) override;
  std::vector<double> run(std::int64_t count, int repeats) override;
  std::string clock() const override { return "CUDA events"; }

 private:
  std::shared_ptr<NcclRanks> ranks_;
  std::shared_ptr<NcclStepWatch> watch_;
  std::shared_ptr<float[]> memory_;
  PriorityStream stream_;
  std::vector<CudaEvent> marks_;
};

}  // namespace gpumonth::comm
