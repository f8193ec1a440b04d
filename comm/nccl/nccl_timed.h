// NCCL collectives in GPU memory, timed by events on their stream.
#pragma once

#include <memory>
#include <vector>

#include "comm/nccl/nccl_ranks.h"
#include "comm/timed_collective.h"
#include "machine/cuda_handles.h"

namespace gpumonth::comm {

class NcclTimed final : public TimedCollective {
 public:
  /// `received` and `sent`: as many floats as run() is asked for, on the current device; the same where the operation is
  /// in place.
  NcclTimed(std::shared_ptr<NcclRanks> ranks, std::shared_ptr<NcclStepWatch> watch, const Collective& operation,
            std::shared_ptr<float[]> received, std::shared_ptr<float[]> sent);
  void write(std::span<const float> values) override;
  void read(std::span<float> values) override;
  void clear(std::int64_t count) override;
  std::vector<double> run(std::int64_t count, int repeats) override;
  std::string clock() const override { return "CUDA events"; }

 private:
  void enqueue(const CollectiveBuffers& buffers);

  std::shared_ptr<NcclRanks> ranks_;
  std::shared_ptr<NcclStepWatch> watch_;
  const Collective& operation_;
  std::shared_ptr<float[]> received_, sent_;
  machine::CudaStream stream_{machine::Urgency::most};
  std::vector<machine::CudaEvent> marks_;
};

}  // namespace gpumonth::comm
