#include "comm/nccl/nccl_shard_reducer.h"

#include <stdexcept>

#include "comm/nccl/nccl_cast.h"
#include "comm/nccl/nccl_group.h"
#include "comm/shard.h"
#include "machine/nvtx.h"

namespace gpumonth::comm {
namespace {

std::vector<Segment> placed_segments(const ShardLayout& layout) {
  std::vector<Segment> segments;
  for (std::size_t s = 0; s < layout.segments().size(); ++s) segments.push_back(layout.placed(s));
  return segments;
}

std::vector<Bucket> bucket_each(const std::vector<Segment>& segments) {
  std::vector<Bucket> buckets;
  for (const Segment& segment : segments) buckets.push_back({segment, static_cast<int>(buckets.size())});
  return buckets;
}

machine::CudaEvent untimed() { return machine::CudaEvent(cudaEventDisableTiming); }

}  // namespace

NcclShardReducer::NcclShardReducer(std::shared_ptr<NcclRanks> group, std::shared_ptr<NcclRanks> replicas,
                                   std::shared_ptr<NcclStepWatch> watch, cudaStream_t stream,
                                   const ReducerOptions& options)
    : NcclReducer(std::move(group), std::move(watch), options.full->gradients, placed_segments(options.full->layout),
                  bucket_each(placed_segments(options.full->layout)), stream, options),
      storage_(*options.full), replicas_(std::move(replicas)), order_(storage_.layout.blocks()),
      flat_buckets_(storage_.layout.buckets()),
      flat_parts_(storage_.layout.owned()), free_{untimed(), untimed(), untimed()}, gathered_{untimed(), untimed(),
                                                                                              untimed()},
      last_reduced_(untimed()) {}

NcclShardReducer::Span& NcclShardReducer::next(std::deque<Span>& spans, std::size_t& used) const {
  if (used == spans.size()) spans.emplace_back();
  Span& span = spans[used++];
  span.backward = order_.backward();
  return span;
}

void NcclShardReducer::begin_passes() {
  pass_ = 0;
  order_.begin_step();
  gathers_used_ = waits_used_ = 0;
  gathered_bytes_ = reduced_bytes_ = 0;
}

void NcclShardReducer::begin_backward() {
  NcclReducer::begin_backward();
  order_.begin_backward();
  begin_pass(pass_);
  if (pass_ == 1) return;
  const ThrowErrors errors(capturing());
  GPUMONTH_CUDA(cudaEventRecord, last_reduced_.get(), comm_stream());
  wait_for(last_reduced_);  // the gradients of the pass before have left
}

/// The compute stream, and how long.
void NcclShardReducer::wait_for(const machine::CudaEvent& event) {
  const bool captured = capturing();
  const Span& span = next(waits_, waits_used_);
  record(span.begin, stream(), captured);
  GPUMONTH_CUDA(cudaStreamWaitEvent, stream(), event.get(), 0);
  record(span.end, stream(), captured);
}

void NcclShardReducer::need(int unit) {
  const ThrowErrors errors(capturing());
  if (unit == kOuterUnit) {
    ++pass_;
    for (const int first : order_.begin_forward()) gather_unit(first);
  }
  // Also for the room of its gradients: ThreadShardReducer's need().
  wait_for(gathered_[slot_of(unit)]);
}

void NcclShardReducer::done(int block) {
  const int unit = order_.after(block);
  if (unit == GatherOrder::kNone) return;
  const ThrowErrors errors(capturing());
  gather_unit(unit);
}

void NcclShardReducer::gather_unit(int unit) {
  const machine::NvtxRange range("gather");
  const bool captured = capturing();
  const Span& span = next(gathers_, gathers_used_);
  fork(free_[slot_of(unit)]);
  record(span.begin, comm_stream(), captured);
  NcclGroup group;
  const auto& segments = storage_.layout.segments();
  for (std::size_t s = 0; s < segments.size(); ++s) {
    if (segments[s].unit != unit) continue;
    if (segments[s].typed && storage_.typed_weights) {
      gather_part(s, storage_.typed_shard, storage_.typed_weights, ncclBfloat16, 2);
    } else {
      gather_part(s, storage_.shard, storage_.weights, ncclFloat, sizeof(float));
    }
  }
  group.end();
  record(span.end, comm_stream(), captured);
  GPUMONTH_CUDA(cudaEventRecord, gathered_[slot_of(unit)].get(), comm_stream());
}

void NcclShardReducer::gather_part(std::size_t s, const void* shard, void* storage, ncclDataType_t type,
                                   std::size_t value_bytes) {
  const ShardLayout& layout = storage_.layout;
  const Segment placed = layout.placed(s), rest = rest_of(placed, layout.ranks());
  const std::int64_t share = share_of(placed, layout.ranks());
  const auto* mine = static_cast<const std::byte*>(shard) + static_cast<std::size_t>(layout.shard_at(s)) * value_bytes;
  const auto at = [&](std::int64_t element) {
    return static_cast<std::byte*>(storage) + static_cast<std::size_t>(element) * value_bytes;
  };
  if (share > 0)
    GPUMONTH_NCCL(ncclAllGather, mine, at(placed.offset), static_cast<std::size_t>(share), type, ranks()->handle(),
                  comm_stream());
  if (rest.count > 0) {
    const int last = layout.ranks() - 1;
    // others' is not read, but of the same kind: NCCL's guide wants buffers registered on all ranks or on none
    const void* from = layout.rank() == last ? mine + static_cast<std::size_t>(share) * value_bytes : shard;
    GPUMONTH_NCCL(ncclBroadcast, from, at(rest.offset), static_cast<std::size_t>(rest.count), type, last,
                  ranks()->handle(), comm_stream());
  }
  gathered_bytes_ += sent_bytes(static_cast<double>(placed.count) * static_cast<double>(value_bytes), layout.ranks());
}

/// Behind a bucket's reduction: this rank's part of the sums goes to its shard.
void NcclShardReducer::reduced(std::size_t s) {
  const ShardLayout& layout = storage_.layout;
  const Segment placed = layout.placed(s), mine = layout.owned(s);
  float* const shard = storage_.gradient_shard + layout.shard_at(s);
  copy_or_add(storage_.gradients + placed.offset + mine.offset, shard, mine.count, pass_ > 1, comm_stream());
  reduced_bytes_ += sent_bytes(static_cast<double>(timeline()[s].bytes), layout.ranks());
  if (!replicas_ || pass_ < storage_.passes || mine.count == 0) return;
  GPUMONTH_NCCL(ncclAllReduce, shard, shard, static_cast<std::size_t>(mine.count), ncclFloat, ncclSum,
                replicas_->handle(), comm_stream());
  reduced_bytes_ += 2 * sent_bytes(4.0 * static_cast<double>(mine.count), replicas_->size());
}

StepCommunication NcclShardReducer::finish() {
  StepCommunication cost = NcclReducer::finish();
  WeightGathers weights{.gathered_bytes = gathered_bytes_, .reduced_bytes = reduced_bytes_};
  for (std::size_t i = 0; i < gathers_used_; ++i)
    weights.inside_s += seconds_between(gathers_[i].begin, gathers_[i].end);
  for (std::size_t i = 0; i < waits_used_; ++i)
    (waits_[i].backward ? weights.exposed_backward_s : weights.exposed_forward_s) +=
        seconds_between(waits_[i].begin, waits_[i].end);
  cost.weights = weights;
  return cost;
}

}  // namespace gpumonth::comm
