// comm.sharding = "full" over NCCL: as NcclReducer, and weights are gathered on the same stream, in the order of the
// step's calls.
//
//   compute stream   need(l): join | block l ...                     | done(l): fork | need(l+1): join | block l+1 ...
//   comm stream      gather l --^    gather l+1, begun by done(l-1) ...     '--> wait, gather l+2 ...
//
// Weights travel in the type that the products read, gradients as NcclReducer says. Everything may be captured.
#pragma once

#include <deque>

#include "comm/nccl/nccl_reducer.h"
#include "comm/sharded_storage.h"

namespace gpumonth::comm {

class NcclShardReducer final : public NcclReducer {
 public:
  /// `group`: the ranks that hold the whole together; `replicas`: those that hold the same shard, null where there are no
  /// others. Memory of options.full is on the GPU.
  NcclShardReducer(std::shared_ptr<NcclRanks> group, std::shared_ptr<NcclRanks> replicas,
                   std::shared_ptr<NcclStepWatch> watch, cudaStream_t stream, const ReducerOptions& options);

  void begin_passes() override;
  void begin_backward() override;
  void need(int unit) override;
  void done(int block) override;
  const std::vector<Segment>& owned() const override { return flat_parts_; }
  void gather(float*) override {}  ///< weights are gathered as they are needed
  StepCommunication finish() override;
  const std::vector<Bucket>& buckets() const override { return flat_buckets_; }

 private:
  struct Span {
    machine::CudaEvent begin, end;
    bool backward = false;
  };
  /// The next of `spans`, which are the same ones in every step.
  Span& next(std::deque<Span>& spans, std::size_t& used) const;
  void gather_unit(int unit);
  void gather_part(std::size_t segment, const void* shard, void* storage, ncclDataType_t type, std::size_t value_bytes);
  void wait_for(const machine::CudaEvent& event);
  void reduced(std::size_t bucket) override;

  ShardedStorage storage_;
  std::shared_ptr<NcclRanks> replicas_;
  GatherOrder order_;
  std::vector<Bucket> flat_buckets_;
  std::vector<Segment> flat_parts_;
  machine::CudaEvent free_[kBlockSlots + 1], gathered_[kBlockSlots + 1], last_reduced_;  // made without times
  std::deque<Span> gathers_, waits_;
  std::size_t gathers_used_ = 0, waits_used_ = 0;
  int pass_ = 0;
  double gathered_bytes_ = 0, reduced_bytes_ = 0;  // of a step
};

}  // namespace gpumonth::comm
