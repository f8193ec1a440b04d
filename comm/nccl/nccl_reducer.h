// Gradient buckets over NCCL, ordered on GPU streams: nothing here waits on the host but finish().
//
//   compute stream   backward ... | ready(s): record | backward goes on ...        | wait(): join | update
//   comm stream                        '--> wait, [cast,] ncclAllReduce, [cast] ...  --'
//
// Everything between begin_step() and finish() may be captured into a CUDA graph that begins on the compute
// stream. Events that fork and join the streams become edges there; events that take times are recorded as
// external nodes, so that a replay takes them again. A call that fails inside a capture throws
// std::runtime_error, so that the capture can be given up and the step enqueued anew from begin_backward()
// on; elsewhere a failed NCCL call ends the job.
//
// Accumulation. fp32 wire: NCCL adds in fp32, in an order that depends on its version, algorithm and the
// number of ranks, and gives every rank the same bits. bf16 wire: every rank's gradients are rounded to bf16
// once, and NCCL adds bf16 values with its own kernels: round a ring or up a tree each partial sum is rounded
// to bf16 again, so the error grows with the number of ranks; where NVLink switches reduce (NVLS) they add in
// fp32 and round the result once. The sum that AdamW reads is fp32 memory with a bf16 value. It halves the
// bytes on the wire, and is a choice to be made for each run (comm.wire), never a default.
#pragma once

#include <memory>
#include <vector>

#include "comm/gradient_reducer.h"
#include "comm/nccl/nccl_ranks.h"
#include "machine/cuda_handles.h"

namespace gpumonth::comm {

class NcclReducer : public GradientReducer {
 public:
  /// `gradients`, the flat buffer on the GPU, is valid as long as this object; `stream` is the compute
  /// stream. One rank enqueues nothing. The first step may block the host while NCCL opens connections; it
  /// must not be captured.
  NcclReducer(std::shared_ptr<NcclRanks> ranks, std::shared_ptr<NcclStepWatch> watch, float* gradients,
              std::vector<Segment> segments, std::int64_t bucket_bytes, cudaStream_t stream,
              const ReducerOptions& options);
  ~NcclReducer() override;

  void begin_step(std::int64_t step) override;
  void begin_backward() override;
  void ready(int segment) override;
  void wait() override;
  const std::vector<Segment>& owned() const override { return owned_; }
  void gather(float* parameters) override;
  void sum(double* values, std::int64_t count) override;
  StepCommunication finish() override;  ///< waits for the compute stream first, where nobody has yet
  const std::vector<BucketTimes>& timeline() const override { return timeline_; }
  const std::vector<Bucket>& buckets() const override { return buckets_; }

 protected:
  /// With buckets that are planned already.
  NcclReducer(std::shared_ptr<NcclRanks> ranks, std::shared_ptr<NcclStepWatch> watch, float* gradients,
              std::vector<Segment> segments, std::vector<Bucket> buckets, cudaStream_t stream,
              const ReducerOptions& options);
  /// Enqueued on the communication stream behind the bucket's reduction, inside its time.
  virtual void reduced(std::size_t) {}

  const std::shared_ptr<NcclRanks>& ranks() const { return ranks_; }
  cudaStream_t stream() const { return stream_; }
  cudaStream_t comm_stream() const { return comm_stream_->get(); }
  bool capturing() const;
  void record(const machine::CudaEvent& event, cudaStream_t stream, bool capturing) const;
  void fork(const machine::CudaEvent& event);
  /// Of a step's passes, from 1 on, the one whose buckets come next. timeline() is the last one's, comm_s the sum of all.
  void begin_pass(int pass) { first_event_ = static_cast<std::size_t>(pass - 1) * buckets_.size(); }

 private:
  struct BucketEvents {
    machine::CudaEvent fork{cudaEventDisableTiming};
    machine::CudaEvent ready, start, end;
  };

  void join(const machine::CudaEvent& event);
  void launch(std::size_t bucket, bool capturing);
  void reduce(const Segment& range);
  void reduce(void* values, const Segment& range, ncclDataType_t type, std::size_t value_bytes);
  void require_waited(const char* call) const;

  std::shared_ptr<NcclRanks> ranks_;
  std::shared_ptr<NcclStepWatch> watch_;
  float* gradients_;
  std::vector<Segment> segments_;
  std::vector<Bucket> buckets_;
  cudaStream_t stream_;
  bool bf16_wire_, sharded_;
  std::vector<Segment> owned_;

  // where there is more than one rank
  std::unique_ptr<machine::CudaStream> comm_stream_;
  std::vector<BucketEvents> bucket_events_;  // by pass and bucket
  std::size_t first_event_ = 0;              // of the pass
  machine::CudaEvent backward_begins_, wait_begins_, wait_ends_, gather_begins_, gather_ends_;
  machine::CudaEvent joined_{cudaEventDisableTiming}, gather_fork_{cudaEventDisableTiming},
      gather_joined_{cudaEventDisableTiming}, sum_fork_{cudaEventDisableTiming}, sum_joined_{cudaEventDisableTiming};
  void* staging_ = nullptr;  // bf16 wire: room for the biggest bucket

  bool open_ = false;
  bool passed_ = false;           // one whole step has been enqueued or captured: later ones may be replays
  bool gathers_in_step_ = false;  // so do replays
  int next_segment_ = 0;
  std::size_t next_bucket_ = 0;
  std::vector<BucketTimes> timeline_;
};

}  // namespace gpumonth::comm
