#include "comm/nccl/nccl_reducer.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "comm/nccl/nccl_cast.h"
#include "comm/nccl/nccl_group.h"
#include "comm/shard.h"
#include "comm/sharded_storage.h"
#include "machine/nvtx.h"

namespace gpumonth::comm {

NcclReducer::NcclReducer(std::shared_ptr<NcclRanks> ranks, std::shared_ptr<NcclStepWatch> watch, float* gradients,
                         std::vector<Segment> segments, std::int64_t bucket_bytes, cudaStream_t stream,
                         const ReducerOptions& options)
    : NcclReducer(std::move(ranks), std::move(watch), gradients, segments, plan_buckets(segments, bucket_bytes), stream,
                  options) {}

NcclReducer::NcclReducer(std::shared_ptr<NcclRanks> ranks, std::shared_ptr<NcclStepWatch> watch, float* gradients,
                         std::vector<Segment> segments, std::vector<Bucket> buckets, cudaStream_t stream,
                         const ReducerOptions& options)
    : ranks_(std::move(ranks)), watch_(std::move(watch)), gradients_(gradients), segments_(std::move(segments)),
      buckets_(std::move(buckets)), stream_(stream), bf16_wire_(options.bf16_wire),
      sharded_((options.shard_optimizer || options.full) && ranks_->size() > 1),
      owned_(sharded_ ? owned_segments(buckets_, ranks_->rank(), ranks_->size()) : merged(segments_)) {
  if (!ranks_->handle()) return;
  comm_stream_ = std::make_unique<machine::CudaStream>(machine::Urgency::most);
  const int passes = options.full ? options.full->passes : 1;
  bucket_events_ = std::vector<BucketEvents>(static_cast<std::size_t>(passes) * buckets_.size());
  std::int64_t most = 0;
  for (const Bucket& bucket : buckets_) {
    most = std::max(most, bucket.range.count);
    timeline_.push_back({.bytes = bucket.range.count * (bf16_wire_ ? 2 : 4)});
  }
  if (bf16_wire_ && most > 0) GPUMONTH_CUDA(cudaMalloc, &staging_, 2 * static_cast<std::size_t>(most));
}

NcclReducer::~NcclReducer() {
  if (staging_) cudaFree(staging_);
}

void NcclReducer::begin_step(std::int64_t) {
  if (open_) throw std::logic_error("begin_step() before finish() of the step before");
  open_ = true;
  next_segment_ = 0;
  next_bucket_ = 0;
  watch_->enter("training step");
}

bool NcclReducer::capturing() const {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  GPUMONTH_CUDA(cudaStreamIsCapturing, stream_, &status);
  return status != cudaStreamCaptureStatusNone;  // also where it has failed already
}

/// For times. The external flag is an error outside of a capture.
void NcclReducer::record(const machine::CudaEvent& event, cudaStream_t stream, bool capturing) const {
  GPUMONTH_CUDA(cudaEventRecordWithFlags, event.get(), stream,
                capturing ? cudaEventRecordExternal : cudaEventRecordDefault);
}

void NcclReducer::fork(const machine::CudaEvent& event) {
  GPUMONTH_CUDA(cudaEventRecord, event.get(), stream_);
  GPUMONTH_CUDA(cudaStreamWaitEvent, comm_stream_->get(), event.get(), 0);
}

void NcclReducer::join(const machine::CudaEvent& event) {
  GPUMONTH_CUDA(cudaEventRecord, event.get(), comm_stream_->get());
  GPUMONTH_CUDA(cudaStreamWaitEvent, stream_, event.get(), 0);
}

void NcclReducer::begin_backward() {
  next_segment_ = 0;  // again where a capture was given up
  next_bucket_ = 0;
  if (!ranks_->handle()) return;
  const bool captured = capturing();
  const ThrowErrors errors(captured);
  record(backward_begins_, stream_, captured);
}

void NcclReducer::ready(int segment) {
  if (!open_ || segment != next_segment_ || segment >= static_cast<int>(segments_.size())) {
    throw std::logic_error(fmt::format("gradient segment {} is ready, expected {}", segment, next_segment_));
  }
  ++next_segment_;
  if (!ranks_->handle() || next_bucket_ == buckets_.size() || buckets_[next_bucket_].last_segment != segment) return;
  const bool captured = capturing();
  const ThrowErrors errors(captured);
  for (; next_bucket_ < buckets_.size() && buckets_[next_bucket_].last_segment == segment; ++next_bucket_)
    launch(next_bucket_, captured);
}

void NcclReducer::launch(std::size_t bucket, bool capturing) {
  const machine::NvtxRange range("bucket");
  const BucketEvents& events = bucket_events_[first_event_ + bucket];
  record(events.ready, stream_, capturing);
  fork(events.fork);
  record(events.start, comm_stream_->get(), capturing);
  reduce(buckets_[bucket].range);
  reduced(bucket);
  record(events.end, comm_stream_->get(), capturing);
}

void NcclReducer::reduce(const Segment& range) {
  float* values = gradients_ + range.offset;
  if (!bf16_wire_) return reduce(values, range, ncclFloat, sizeof(float));
  cast_to_bf16(values, staging_, range.count, comm_stream_->get());
  reduce(staging_, range, ncclBfloat16, 2);
  const Segment mine = sharded_ ? owned_part(range, ranks_->rank(), ranks_->size()) : range;
  const std::int64_t at = mine.offset - range.offset;
  cast_from_bf16(static_cast<std::byte*>(staging_) + 2 * at, values + at, mine.count, comm_stream_->get());
}

/// `values`: the bucket `range`, in place.
void NcclReducer::reduce(void* values, const Segment& range, ncclDataType_t type, std::size_t value_bytes) {
  const ncclComm_t handle = ranks_->handle();
  const cudaStream_t stream = comm_stream_->get();
  auto* bytes = static_cast<std::byte*>(values);
  if (!sharded_) {
    GPUMONTH_NCCL(ncclAllReduce, values, values, static_cast<std::size_t>(range.count), type, ncclSum, handle, stream);
    return;
  }
  const auto share = static_cast<std::size_t>(share_of(range, ranks_->size()));
  const Segment rest = rest_of(range, ranks_->size());
  NcclGroup group;
  if (share > 0) {
    GPUMONTH_NCCL(ncclReduceScatter, bytes, bytes + static_cast<std::size_t>(ranks_->rank()) * share * value_bytes,
                  share, type, ncclSum, handle, stream);
  }
  if (rest.count > 0) {
    std::byte* at = bytes + static_cast<std::size_t>(rest.offset - range.offset) * value_bytes;
    GPUMONTH_NCCL(ncclAllReduce, at, at, static_cast<std::size_t>(rest.count), type, ncclSum, handle, stream);
  }
  group.end();
}

void NcclReducer::wait() {
  if (!open_ || next_segment_ != static_cast<int>(segments_.size())) {
    throw std::logic_error(fmt::format("wait() after {} of {} gradient segments", next_segment_, segments_.size()));
  }
  passed_ = true;
  if (!ranks_->handle()) return;
  const bool captured = capturing();
  const ThrowErrors errors(captured);
  record(wait_begins_, stream_, captured);
  if (!buckets_.empty()) join(joined_);
  record(wait_ends_, stream_, captured);
}

void NcclReducer::require_waited(const char* call) const {
  if (open_ && next_segment_ != static_cast<int>(segments_.size()))
    throw std::logic_error(fmt::format("{}() before wait()", call));
}

void NcclReducer::gather(float* parameters) {
  require_waited("gather");
  if (!sharded_) return;
  const bool captured = capturing();
  const ThrowErrors errors(captured);
  const ncclComm_t handle = ranks_->handle();
  const cudaStream_t stream = comm_stream_->get();
  const int ranks = ranks_->size();
  record(gather_begins_, stream_, captured);
  fork(gather_fork_);
  NcclGroup group;
  for (const Bucket& bucket : buckets_) {
    const auto share = static_cast<std::size_t>(share_of(bucket.range, ranks));
    float* values = parameters + bucket.range.offset;
    if (share > 0) {
      GPUMONTH_NCCL(ncclAllGather, values + static_cast<std::size_t>(ranks_->rank()) * share, values, share, ncclFloat,
                    handle, stream);
    }
    if (const Segment rest = rest_of(bucket.range, ranks); rest.count > 0) {
      float* at = parameters + rest.offset;
      GPUMONTH_NCCL(ncclBroadcast, at, at, static_cast<std::size_t>(rest.count), ncclFloat, ranks - 1, handle, stream);
    }
  }
  group.end();
  join(gather_joined_);
  record(gather_ends_, stream_, captured);
  if (open_) gathers_in_step_ = true;
}

void NcclReducer::sum(double* values, std::int64_t count) {
  require_waited("sum");
  if (!ranks_->handle() || count == 0) return;
  const ThrowErrors errors(capturing());
  fork(sum_fork_);
  GPUMONTH_NCCL(ncclAllReduce, values, values, static_cast<std::size_t>(count), ncclDouble, ncclSum, ranks_->handle(),
                comm_stream_->get());
  join(sum_joined_);
}

StepCommunication NcclReducer::finish() {
  const bool replayed = next_segment_ == 0 && passed_;
  if (!open_ || !(replayed || next_segment_ == static_cast<int>(segments_.size())))
    throw std::logic_error("finish() before begin_step() or wait()");
  open_ = false;
  if (!ranks_->handle()) return {};
  // not an event: those of a replayed graph are recorded when their node runs, and until then look done
  GPUMONTH_CUDA(cudaStreamSynchronize, stream_);
  watch_->leave();
  StepCommunication cost;
  for (std::size_t b = 0; b < buckets_.size(); ++b) {
    BucketTimes& times = timeline_[b];
    const BucketEvents& events = bucket_events_[first_event_ + b];
    times.ready_s = seconds_between(backward_begins_, events.ready);
    times.start_s = seconds_between(backward_begins_, events.start);
    times.end_s = seconds_between(backward_begins_, events.end);
  }
  for (const BucketEvents& events : bucket_events_) cost.comm_s += seconds_between(events.start, events.end);
  cost.exposed_s = seconds_between(wait_begins_, wait_ends_);
  if (gathers_in_step_) cost.gather_s = seconds_between(gather_begins_, gather_ends_);
  return cost;
}

}  // namespace gpumonth::comm
